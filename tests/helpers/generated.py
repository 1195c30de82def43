"""Histories drawn at random, and what brute force says of them: the checker's opponent.

What the two must agree on. The checker takes reads and the order of versions as given, so the question is whether some
serial order of the committed transactions would show every read the same version, and install versions in the same
order. (That is conflict serializability. View serializability asks only for the reads, and accepts more.) A predicate
read must see the same state of the predicate: of each item a version between the same two changes of its match. So
brute force runs the transactions one after the other on a store of its own, in every order, and compares; it knows no
edges and no cycles.

Half of the histories are made from a serial run, and then one read or one order is changed in some of them: drawn
blindly, nearly all histories of four or five transactions would be wrong in an obvious way.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

from hypothesis import strategies as st

from lab.model.history import INITIAL, History, PredicateRead, Read, Status, Transaction, Version, Write

ITEMS = ("x", "y", "z")
PREDICATES = ("P", "Q")


def installed(history: History) -> dict[str, dict[str, Version]]:
    found: dict[str, dict[str, Version]] = {}
    for transaction in history.transactions:
        numbers = dict.fromkeys(ITEMS, 0)
        for operation in transaction.operations:
            if isinstance(operation, Write):
                numbers[operation.item] += 1
                if transaction.committed and operation.undone is None:
                    found.setdefault(operation.item, {})[transaction.id] = Version(
                        transaction.id, numbers[operation.item]
                    )
    return found


def serializable(history: History) -> bool:
    """Brute force: whether some serial order shows what the history shows."""
    last = installed(history)
    orders = {item: history.orders.get(item, ((),))[0] or tuple(last[item].values()) for item in last}
    return any(_shows(history, order, orders) for order in permutations(history.committed))


def _shows(history: History, order: tuple[Transaction, ...], orders: dict[str, tuple[Version, ...]]) -> bool:
    store: dict[str, list[Version]] = {item: [INITIAL] for item in ITEMS}
    for transaction in order:
        own: dict[str, list[tuple[Version, Write]]] = {item: [] for item in ITEMS}
        for operation in transaction.operations:
            if isinstance(operation, Write):
                mine = own[operation.item]
                mine.append((Version(transaction.id, len(mine) + 1), operation))
                continue
            now = {item: _standing(store[item][-1], own[item], operation.step) for item in ITEMS}
            if isinstance(operation, Read):
                if operation.version != now[operation.item]:
                    return False
            elif not _same_matches(history, operation, now, orders, transaction.id):
                return False
        for item in ITEMS:
            kept = [version for version, write in own[item] if write.undone is None]
            store[item].extend(kept[-1:])
    return all(tuple(store[item][1:]) == tuple(order) for item, order in orders.items())


def _standing(committed: Version, own: list[tuple[Version, Write]], step: int) -> Version:
    standing = [version for version, write in own if write.undone is None or write.undone > step]
    return standing[-1] if standing else committed


def _same_matches(history, read: PredicateRead, now, orders, reader: str) -> bool:
    matching = history.predicates[read.predicate]
    for item, seen in read.seen:
        if seen.writer == reader or now[item].writer == reader:
            if seen != now[item]:
                return False
            continue
        order = (INITIAL, *orders.get(item, ()))
        if seen not in order:
            return False
        stretch, stretches = 0, {}
        for number, version in enumerate(order):
            stretch += number > 0 and ((item, version) in matching) != ((item, order[number - 1]) in matching)
            stretches[version] = stretch
        if item in {each for each, _ in matching} and stretches[seen] != stretches[now[item]]:
            return False
    return True


@st.composite
def histories(draw) -> History:
    """2 to 5 transactions over three items and two predicates."""
    shapes = [_shape(draw, f"T{number}") for number in range(1, draw(st.integers(2, 5)) + 1)]
    versions = _all_versions(shapes)
    matching = {
        name: frozenset(
            (item, version) for item in ITEMS for version in [INITIAL, *versions[item]] if draw(st.booleans())
        )
        for name in PREDICATES
    }
    history = History(tuple(shapes), {}, matching)
    last = installed(history)
    if draw(st.booleans()):
        return _blind(draw, history, last, versions)
    history = _serial(history, draw(st.permutations(range(len(shapes)))))
    for _ in range(draw(st.integers(0, 2))):
        history = _disturbed(draw, history, versions)
    return history


def _shape(draw, name: str) -> Transaction:
    operations: list = []
    for step in range(1, draw(st.integers(1, 4)) + 1):
        kind = draw(st.sampled_from("wwrrrp"))
        if kind == "w":
            undone = step * 10 + 15 if draw(st.integers(0, 9)) == 0 else None
            operations.append(Write(draw(st.sampled_from(ITEMS)), step * 10, undone=undone))
        elif kind == "r":
            operations.append(Read(draw(st.sampled_from(ITEMS)), INITIAL, step * 10))
        else:
            operations.append(PredicateRead(draw(st.sampled_from(PREDICATES)), (), step * 10))
    status = Status.ABORTED if draw(st.integers(0, 7)) == 0 else Status.COMMITTED
    return Transaction(name, tuple(operations), status)


def _all_versions(transactions: list[Transaction]) -> dict[str, list[Version]]:
    versions: dict[str, list[Version]] = {item: [] for item in ITEMS}
    for transaction in transactions:
        numbers = dict.fromkeys(ITEMS, 0)
        for operation in transaction.operations:
            if isinstance(operation, Write):
                numbers[operation.item] += 1
                versions[operation.item].append(Version(transaction.id, numbers[operation.item]))
    return versions


def _blind(draw, history: History, last, versions) -> History:
    """Reads of whatever there is, mostly installed versions, and any order."""
    orders = {item: (tuple(draw(st.permutations(list(each.values())))),) for item, each in last.items()}

    def any_version(item: str) -> Version:
        usual = [INITIAL, *last.get(item, {}).values()]
        return draw(st.sampled_from(versions[item] or usual if draw(st.integers(0, 15)) == 0 else usual))

    def filled(operation):
        if isinstance(operation, Read):
            return replace(operation, version=any_version(operation.item))
        if isinstance(operation, PredicateRead):
            return replace(operation, seen=tuple((item, any_version(item)) for item in ITEMS))
        return operation

    transactions = tuple(
        replace(each, operations=tuple(filled(operation) for operation in each.operations))
        for each in history.transactions
    )
    return History(transactions, orders, history.predicates)


def _serial(history: History, order: list[int]) -> History:
    """What the transactions see when they run one after the other."""
    store: dict[str, list[Version]] = {item: [INITIAL] for item in ITEMS}
    done: dict[str, Transaction] = {}
    for transaction in (history.transactions[index] for index in order):
        own: dict[str, list[tuple[Version, Write]]] = {item: [] for item in ITEMS}
        operations: list = []
        for operation in transaction.operations:
            if isinstance(operation, Write):
                mine = own[operation.item]
                mine.append((Version(transaction.id, len(mine) + 1), operation))
                operations.append(operation)
                continue
            now = {item: _standing(store[item][-1], own[item], operation.step) for item in ITEMS}
            if isinstance(operation, Read):
                operations.append(replace(operation, version=now[operation.item]))
            else:
                operations.append(replace(operation, seen=tuple(now.items())))
        done[transaction.id] = replace(transaction, operations=tuple(operations))
        for item in ITEMS if transaction.committed else ():
            kept = [version for version, write in own[item] if write.undone is None]
            store[item].extend(kept[-1:])
    orders = {item: (tuple(order[1:]),) for item, order in store.items() if len(order) > 1}
    return History(tuple(done[each.id] for each in history.transactions), orders, history.predicates)


def _disturbed(draw, history: History, versions) -> History:
    """One read sees another version, or two versions change places."""
    reads = [
        (number, place)
        for number, each in enumerate(history.transactions)
        for place, operation in enumerate(each.operations)
        if not isinstance(operation, Write)
    ]
    swappable = [item for item, ((*order,),) in history.orders.items() if len(order) > 1]
    if swappable and (not reads or draw(st.booleans())):
        item = draw(st.sampled_from(swappable))
        return replace(
            history, orders={**history.orders, item: (tuple(draw(st.permutations(history.orders[item][0]))),)}
        )
    if not reads:
        return history
    number, place = draw(st.sampled_from(reads))
    transaction = history.transactions[number]
    operations = list(transaction.operations)
    operations[place] = _seeing_another(draw, operations[place], versions)
    changed = replace(transaction, operations=tuple(operations))
    transactions = (*history.transactions[:number], changed, *history.transactions[number + 1 :])
    return replace(history, transactions=transactions)


def _seeing_another(draw, operation: Read | PredicateRead, versions) -> Read | PredicateRead:
    if isinstance(operation, Read):
        return replace(operation, version=draw(st.sampled_from([INITIAL, *versions[operation.item]])))
    item = draw(st.sampled_from(ITEMS))
    seen = {**dict(operation.seen), item: draw(st.sampled_from([INITIAL, *versions[item]]))}
    return replace(operation, seen=tuple(seen.items()))
