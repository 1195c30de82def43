"""A replay token carries an execution's scenario, parameters, level and schedule through any channel of text."""

import base64
import dataclasses
import hashlib
import json
import random
import re
import shutil
import subprocess
from dataclasses import dataclass
from itertools import count

import pytest
from helpers.decided import decided
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lab.errors import TokenError
from lab.model.decision import Go, Pause, Strike
from lab.model.replay_token import ReplayToken, decode, encode, scenario_of, token_for
from lab.model.schedule import Schedule
from lab.model.schedule_text import MOST_STEPS
from lab.model.token_verdict import TokenVerdict
from lab.scenario.declare import ISOLATION_LEVELS, Scenario, actor

SAFE = re.compile(r"[A-Za-z0-9_.:,=%+\-/@]+")


@dataclass(frozen=True)
class Withdrawal(Scenario):
    amount: int = 30
    owner: str = "alice"
    limits: tuple[int, ...] = ()

    def __post_init__(self):
        if self.amount < 0:
            raise ValueError("an amount is\nnot negative")

    @actor
    async def alice(self, session): ...

    @actor(names=("bob1", "bob-2"))
    async def bobs(self, session): ...


@dataclass(frozen=True)
class Fee(Scenario):
    fee: int

    @actor(names=("a", "b"))
    async def pay(self, session): ...


def checksum(body):
    return base64.b32encode(hashlib.sha256(body.encode("utf-8", "surrogatepass")).digest())[:6].decode().lower()


def sealed(body):
    """A text with the checksum that makes the deeper parser read it."""
    return f"{body}:{checksum(body)}"


def token(*decisions, target="scenarios.transfer:LostUpdate", parameters=None, isolation="", choices="abcde"):
    return ReplayToken(target, parameters or {}, isolation, Schedule(tuple(map(Go, decisions)), choices))


def refusal(text):
    """The one sentence with which a text is refused."""
    with pytest.raises(TokenError) as refused:
        decode(text)
    return sentence(refused.value)


def sentence(error):
    message = str(error)
    assert message
    assert len(message) < 300, message
    assert message.isprintable(), message
    return message


odd_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)  # lone surrogates too
plain_names = st.sampled_from(["alice", "bob", "alice/1", "alice/12", "t1", "t-1", "-", "a.b", "+x", "é", "ê", "7", ""])
names = plain_names | odd_text
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | odd_text
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(odd_text, inner, max_size=3)
)
targets = st.tuples(odd_text.filter(lambda text: text and ":" not in text), odd_text.filter(bool)).map(":".join)
schedules = st.builds(
    Schedule,
    st.lists(names, min_size=1, max_size=6)
    .flatmap(lambda some: st.lists(st.sampled_from(some).map(Go), max_size=150))
    .map(tuple),
    st.sampled_from(["", "abcde", "k3f7x"]) | odd_text,
)
tokens = st.builds(
    ReplayToken,
    st.just("scenarios.transfer:LostUpdate") | targets,
    st.dictionaries(st.sampled_from(["amount", "balance"]) | odd_text, values, max_size=3),
    st.sampled_from(["", *ISOLATION_LEVELS]),
    schedules,
)


class TestRoundTrip:
    @given(tokens)
    @example(token(target="m:f.<locals>.Größe"))
    @example(token("-1", "1", "1-1", "a-1", "a1", "a1", "é", "é", "", "", "%41", "+"))
    @example(token("\ud800", parameters={"text": "\udfff", "\ud83d\ude00": ("\ud83d", "\ude00", "😀")}))
    @settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_what_is_decoded_is_what_was_encoded(self, original):
        text = encode(original)
        decoded = decode(text)
        assert decoded == original
        assert repr(decoded.parameters) == repr(dict(original.parameters)), "types, not only equality"
        assert SAFE.fullmatch(text)

    def test_a_token_reads_like_this(self):
        """The format is a promise to tokens that are already in issues and CI logs."""
        made = token(
            "alice", "alice", "bob", "bob", "t1", "alice/1", "alice/1", "bob",
            parameters={"amount": 30, "mode": "fast lane", "ratio": -0.5, "sizes": (1, 2), "on": True},
            isolation="READ COMMITTED",
        )  # fmt: skip
        body = (
            "lab1:scenarios.transfer:LostUpdate:amount=30,mode=@fast%20lane,ratio=-0.5,sizes=%5B1%2C2%5D,on=true:rc:"
            "alice2.bob2.t1-1.alice/1-2.bob:abcde"
        )
        assert str(made) == sealed(body)

    def test_a_long_schedule_is_packed_like_this(self):
        made = token(*["alice", "bob", "carol"] * 10, choices="")
        assert str(made) == sealed("lab1:scenarios.transfer:LostUpdate::-:+alice.bob.carol@EYYYYYYYYYY:")
        assert decode(str(made)) == made

    def test_a_long_schedule_that_packing_would_not_shorten_stays_readable(self):
        made = token(*["alone" * 30] * 7, choices="")
        assert str(made) == sealed(f"lab1:scenarios.transfer:LostUpdate::-:{'alone' * 30}7:")
        assert decode(str(made)) == made

    def test_lists_come_back_as_tuples(self):
        """A frozen scenario wants values that can be hashed."""
        decoded = decode(str(token("a", parameters={"sizes": [1, [2]], "by": {"x": [3]}})))
        assert decoded.parameters == {"sizes": (1, (2,)), "by": {"x": (3,)}}

    def test_white_space_around_a_pasted_token_does_not_matter(self):
        made = token("alice", "bob")
        assert decode(f"  {made}\r\n") == made

    def test_the_longest_schedule_round_trips(self):
        dice = random.Random(1)
        made = token(*dice.choices(["alice", "bob", "carol"], k=MOST_STEPS))
        assert decode(str(made)) == made

    @given(st.integers(0, 2**32), st.sampled_from([2, 3, 4]), st.integers(1, 60))
    def test_an_ordinary_token_is_shorter_than_200_characters(self, seed, actors, steps):
        """Four actors in 60 steps, switching as often as they like."""
        some = ["alice", "bob", "carol", "dave"][:actors]
        made = token(
            *random.Random(seed).choices(some, k=steps),
            target="scenarios.inventory_reservation:ReservationWithoutLock",
            parameters={"amount": 120, "balance": 1000, "mode": "optimistic"},
            isolation="SERIALIZABLE",
        )
        assert len(str(made)) < 200


class TestShells:
    @pytest.mark.parametrize("shell", [s for s in ("sh", "bash", "zsh", "dash") if shutil.which(s)])
    def test_a_token_needs_no_quotes(self, shell, tmp_path):
        made = [
            token("alice", "alice", "bob-1", "alice/1", "$(id)", "`id`", "*", "~", "!!", "a b", "\n"),
            token(*["alice", "bob"] * 40, target="m:f.<locals>.C"),
            token(parameters={"text": "'\" $HOME; rm -rf ~ & | > x # \\ {a,b} [a-z]* ?", "é": {"a": (None, 1e300)}}),
        ]
        for each in made:
            text = str(each)
            script = f'printf %s {text}; printf "\\n"; x={text}; printf %s "$x"'
            ran = subprocess.run([shell, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
            assert ran.stdout.split("\n") == [text, text]
            assert ran.stderr == ""


class TestRefusedText:
    WHOLE = str(token("alice", "bob", "alice", parameters={"amount": 30}, isolation="SERIALIZABLE"))
    BODY = "lab1:m:C:{}:{}:{}:abcde"

    @pytest.mark.parametrize(
        "text", ["", "hello", "lab", "labour", "pytest --lab-replay", "1:m:C", "\n", "láb1:", "☃" * 999]
    )
    def test_other_text_is_no_token(self, text):
        assert "is not a replay token: expected text that begins with lab1:" in refusal(text)

    @pytest.mark.parametrize("text", ["lab9:x", WHOLE.replace("lab1", "lab9"), "lab" + "9" * 5000 + ":a"])
    def test_another_version_is_named_before_anything_else(self, text):
        assert "is of version lab" in refusal(text)

    def test_every_cut_of_a_token_is_said_to_be_a_cut(self):
        for end in range(len("lab1"), len(self.WHOLE)):
            assert "was cut short" in refusal(self.WHOLE[:end])

    def test_one_token_pasted_into_another_has_too_many_fields(self):
        assert "has something added: it has 15 fields, expected 8" in refusal(self.WHOLE + self.WHOLE)

    def test_every_single_typing_error_is_noticed(self):
        for place in range(len("lab1:"), len(self.WHOLE)):
            wrong = "x" if self.WHOLE[place] != "x" else "y"
            message = refusal(self.WHOLE[:place] + wrong + self.WHOLE[place + 1 :])
            assert "was mistyped or cut" in message or "was cut short" in message

    @pytest.mark.parametrize("met", [" ", "\n", "…", "'", "\ud800", "\x00"])
    def test_a_foreign_character_is_shown_with_its_place(self, met):
        assert f"holds {met!a} as its character 10" in refusal(self.WHOLE[:9] + met + self.WHOLE[9:])

    def test_a_text_of_any_length_is_refused_at_once(self):
        assert "at most 1000000 are read" in refusal(self.WHOLE + "a" * 2_000_000)

    @pytest.mark.parametrize(
        ("parameters", "isolation", "schedule", "cause"),
        [
            ("", "rx", "a", "isolation level reads 'rx', expected one of -, rc, rr, ser"),
            ("", "", "a", "isolation level reads ''"),
            ("", "-", "a0", "schedule reads 'a0'"),
            ("", "-", "a.b..c", "schedule reads ''"),
            ("", "-", "a.3", "schedule reads '3'"),
            ("", "-", "a-b", "schedule reads 'a-b'"),
            ("", "-", "a100001", "schedule reads 'a100001'"),
            ("", "-", "a60000.b60000", "schedule reads 'b60000'"),
            ("", "-", "a" + "9" * 5000, "schedule reads 'a999"),
            ("", "-", "%", "actor name reads '%'"),
            ("", "-", "%ff", "actor name reads '%ff', expected UTF-8"),
            ("", "-", "+a.b", "packed schedule reads ''"),
            ("", "-", "+a.b@", "packed schedule reads ''"),
            ("", "-", "+a.b@A", "packed schedule reads 'A'"),
            ("", "-", "+a.b@AAAA", "packed schedule reads 'AAAA'"),
            ("", "-", "+a.b@@@@@", "packed schedule reads '@@@@'"),
            ("", "-", "+a.b.c@Ag", "expected 2 bits for each of at most 100000 steps"),
            ("", "-", "+a.b.c@Hw", "expected only decisions among its 3 actors"),
            ("", "-", "+a.b@" + "_" * 100_000, "packed schedule reads '____"),
            ("amount", "-", "a", "parameters reads 'amount'"),
            ("a=1,", "-", "a", "parameters reads ''"),
            ("a=1,a=2", "-", "a", "parameters reads 'a=2', expected each once"),
            ("a=NaN", "-", "a", "parameter 'a' reads 'NaN'"),
            ("a=-Infinity", "-", "a", "parameter 'a' reads '-Infinity'"),
            ("a=1e999", "-", "a", "not the float inf"),
            ("a=" + "9" * 5000, "-", "a", "parameter 'a' reads '999"),
            ("a=" + "%5B" * 100_000, "-", "a", "parameter 'a' reads '[[["),
            ("a=" + "%5B" * 40 + "%5D" * 40, "-", "a", "nested more than 32 deep"),
            ("a=@%C3", "-", "a", "parameter value reads '%C3', expected UTF-8"),
            ("%zz=1", "-", "a", "parameter name reads '%zz'"),
        ],
        ids=count(),
    )
    def test_a_field_without_sense_is_named_and_shown(self, parameters, isolation, schedule, cause):
        assert cause in refusal(sealed(self.BODY.format(parameters, isolation, schedule)))

    @pytest.mark.parametrize("target", [":C", "m:", ":"])
    def test_a_target_needs_a_module_and_a_class(self, target):
        assert "expected module:Class" in refusal(sealed(f"lab1:{target}::-:a:"))


ALPHABET = "abz019_.:,=%+-/@ \n'é☃\ud800"


def harmed(text, dice):
    """The text after one random change."""
    start, length = dice.randint(0, len(text)), dice.randint(1, 5)
    new = dice.choice([*HOSTILE, "".join(dice.choices(ALPHABET, k=length))])
    match dice.choice(["delete", "insert", "replace", "truncate", "splice", "field", "field"]):
        case "delete":
            return text[:start] + text[start + length :]
        case "insert":
            return text[:start] + new + text[start:]
        case "replace":
            return text[:start] + new + text[start + len(new) :]
        case "truncate":
            return text[:start]
        case "splice":
            return text[:start] + dice.choice(ORIGINALS)[start - length :]
    fields = text.split(":")
    fields[dice.randrange(len(fields))] = new
    return ":".join(fields)


def mutant(seed):
    """A good token after some harm; half of them pass the outer checks again, so that the inner parser is reached."""
    dice = random.Random(seed)
    text = dice.choice(ORIGINALS)
    if dice.random() < 0.5:
        for _ in range(dice.randint(1, 3)):
            text = harmed(text, dice)
        return text
    body = text.removeprefix("lab1:").rpartition(":")[0]
    for _ in range(dice.randint(1, 2)):
        body = "".join(SAFE.findall(harmed(body, dice)))
    return sealed(f"lab1:{body}")


ORIGINALS = [
    str(token("alice", "alice", "bob", "alice/1", parameters={"amount": 30})),
    str(token(*["alice", "bob", "carol"] * 30, isolation="REPEATABLE READ", choices="")),
    str(token("é", "t1", "t1", parameters={"text": "a b", "sizes": (1, (2.5, None)), "by": {"k": True}})),
    str(token(*["one"] * 99, target="m:f.<locals>.C", isolation="SERIALIZABLE")),
]
HOSTILE = [
    "a99999",
    "a999999999",
    "+a@" + "_" * 99,
    "+@AQ",
    "a=" + "%5B" * 2000,
    "a=1e999",
    "a=NaN",
    "%ff",
    "%",
    "=",
    "a=",
]


# One draw for all changes of a token: nearly all of this test's time would go into drawing them one by one.
mutants = st.binary(min_size=8, max_size=8).map(mutant)


class TestMutation:
    @given(mutants)
    @settings(max_examples=2_000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def test_a_harmed_token_is_refused_in_one_sentence_or_is_a_valid_token(self, text):
        self.refused_or_valid(text)

    @pytest.mark.long
    @given(mutants)
    @settings(max_examples=10_000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def test_ten_thousand_harmed_tokens_are_refused_in_one_sentence_or_valid(self, text):
        self.refused_or_valid(text)

    def refused_or_valid(self, text):
        try:
            decoded = decode(text)
        except TokenError as error:
            sentence(error)
        else:
            assert all(type(each) in (Go, Pause, Strike) for each in decoded.schedule)
            assert len(decoded.schedule) <= MOST_STEPS
            assert decoded.isolation in ("", *ISOLATION_LEVELS)
            assert decode(encode(decoded)) == decoded

    @given(st.text(st.characters(codec=None, exclude_categories=())) | st.text(ALPHABET).map("lab1:{}".format))
    @settings(max_examples=1000, deadline=None)
    def test_any_other_text_is_refused_in_one_sentence(self, text):
        assert refusal(text)


class TestRefusedValues:
    @pytest.mark.parametrize(
        ("value", "told"),
        [
            ({1, 2}, "type set"),
            (b"x", "type bytes"),
            (object(), "type object"),
            ((1, [object()]), "type object"),
            ({1: 2}, "a dict with a key of type int"),
            (float("nan"), "the float nan"),
            (float("-inf"), "the float -inf"),
            (10**5000, "an int of more than 4300 digits"),
            (json.loads("[" * 40 + "]" * 40), "nested more than 32 deep"),
            (type("Text" * 99, (str,), {})("x"), "type TextText"),
        ],
        ids=count(),
    )
    def test_a_parameter_that_text_cannot_carry_is_named_with_its_type(self, value, told):
        with pytest.raises(TokenError) as refused:
            encode(token("a", parameters={"amount": 1, "when": value}))
        message = sentence(refused.value)
        assert "the parameter 'when' is or holds" in message
        assert told in message

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            (token("a", target="Short"), "cannot name the target 'Short'"),
            (token("a", isolation="READ UNCOMMITTED"), "isolation level 'READ UNCOMMITTED'"),
            (token(*"ab" * MOST_STEPS), "a schedule of 200000 steps is too long"),
            (token("a", parameters={"text": "x" * 1_000_000}), "would be too long"),
        ],
        ids=count(),
    )
    def test_what_could_not_be_read_back_is_not_written(self, wrong, told):
        with pytest.raises(TokenError) as refused:
            encode(wrong)
        assert told in sentence(refused.value)


class TestVerdicts:
    @pytest.mark.parametrize(
        "verdict",
        [
            TokenVerdict("invariant", "P4", "k3fx"),
            TokenVerdict("stall", "", "2222"),
            TokenVerdict("mine.own", "incompatible order", "abcd"),
        ],
    )
    def test_a_token_carries_a_verdict_and_stays_short(self, verdict):
        plain = token("alice", "bob")
        text = encode(dataclasses.replace(plain, verdict=verdict))
        assert decode(text) == dataclasses.replace(plain, verdict=verdict)
        assert len(text) - len(encode(plain)) <= 37
        assert decode(encode(plain)).verdict is None

    @pytest.mark.parametrize("verdict", ["", "stall", "stall.", ".k3fx", "a.b.c.k3fx", "stall.K3F9", "stall.%zz.k3fx"])
    def test_a_verdict_of_another_form_is_refused(self, verdict):
        body = encode(token("alice")).rpartition(":")[0]
        assert "verdict" in refusal(sealed(f"{body}:{verdict}")) or "anomaly" in refusal(sealed(f"{body}:{verdict}"))


class TestScenarios:
    def test_a_token_builds_the_scenario_that_it_was_made_for(self):
        scenario = Withdrawal(amount=5, limits=(1, 2))
        made = token_for(scenario, Schedule(decided("alice bob1 bob-2/3 alice/12"), "abcde"), "REPEATABLE READ")
        decoded = decode(str(made))
        assert decoded == made
        assert decoded.target == f"{__name__}:Withdrawal"
        assert scenario_of(decoded, Withdrawal) == scenario

    def test_only_parameters_that_differ_from_the_default_are_in_a_token(self):
        assert token_for(Withdrawal(amount=5), Schedule(), "").parameters == {"amount": 5}
        assert token_for(Fee(fee=5), Schedule(), "").parameters == {"fee": 5}

    @pytest.mark.parametrize(
        ("cls", "parameters", "decisions", "told"),
        [
            (Withdrawal, {"fee": 1}, (), "has no parameter 'fee', which the token sets, only amount, owner, limits"),
            (
                Withdrawal,
                {},
                ("alice", "carol"),
                "has no actor 'carol', which the token's schedule names, only alice, bob1",
            ),
            (Withdrawal, {}, ("carol/1",), "has no actor 'carol/1'"),
            (Withdrawal, {}, ("alice/x",), "has no actor 'alice/x'"),
            (Withdrawal, {}, ("bobs",), "has no actor 'bobs'"),
            (Fee, {}, ("a",), "needs a parameter 'fee', which the token does not set"),
            (Withdrawal, {"amount": -1}, (), "refuses the token's parameters with ValueError"),
        ],
        ids=count(),
    )
    def test_a_scenario_that_changed_is_not_replayed(self, cls, parameters, decisions, told):
        with pytest.raises(TokenError) as refused:
            scenario_of(token(*decisions, parameters=parameters), cls)
        message = sentence(refused.value)
        assert told in message
        assert "the scenario changed since the token was made" in message
