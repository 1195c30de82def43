"""What the environment says: SHOP_DATABASE_URL and the like, or the same names in a file `.env`."""

from functools import lru_cache

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """All settings, with what suits a developer's machine."""

    model_config = SettingsConfigDict(env_prefix="SHOP_", env_file=".env", extra="ignore")

    database_url: str = "postgresql+asyncpg://localhost/shop"
    pool_size: int = 5
    echo_sql: bool = False


@lru_cache
def get_settings() -> Settings:
    """The settings of this process."""
    return Settings()
