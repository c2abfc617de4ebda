"""The clocks of the oracle: what burns, and what every time control makes of a turn.

A clock is told what happens to it and nothing else: it runs for so many milliseconds, the turn
is handed over or ends, somebody corrects it. It answers what is shown, how long it
can still run, and its counters.

What the specification leaves open, and what is held here:

  at zero     nothing is left to run. A clock at zero burns nothing, gets nothing at a hand-over
              (moves made at zero are not counted either) and does not grow in hourglass; only a
              correction brings it back.
  delay       one at zero has no delay; in a turn that was corrected the delay that is used up
              stays used up.
  byoyomi     a period is lost at the very instant at which it is used up. `periods_left` counts
              the running one. A correction moves the bank, which burns first; what was used of the
              running period stays used until the hand-over. A bank of 0 is not zero while
              there are periods.
  canadian    a move counts for the block when the bank is 0 at its hand-over. A correction moves
              the bank, and the block waits as it is. A bank of 0 is not zero while the
              block has time.
  warnings    what clients see has to come down to the value from above: a period of byoyomi that
              begins above it counts though the bank was below.
  stages      a stage's own add_ms comes after its own moves, on top of its increment; the last
              stage has no moves and its add_ms is never granted. `stage` counts from 1.
"""


class Clock:
    """One bank that burns: of a participant, a group, a cycle or a session."""

    def __init__(self, bank, rule=None):
        self.bank = self.allotted = bank
        self.rule = rule or {}
        self.turn = 0

    def stand(self):
        """The turn is over."""
        self.turn = 0

    def run(self, ms):
        """Returns what it cost."""
        cost = min(self.cost(ms), self.bank)
        self.turn += ms
        self.bank -= cost
        return cost

    def cost(self, ms):
        return ms

    def hand_over(self):
        """The turn ends, with time left."""

    def correct(self, by):
        self.bank += by
        self.allotted = max(0, self.allotted + by)

    def shown(self):
        """What clients see as left."""
        return self.bank

    def can_run(self):
        """For how long, from now on without a pause."""
        return self.bank

    def counters(self):
        return {}

    def falls(self):
        """(in how many ms, from where) for each fall to zero of what is shown."""
        return [(0, self.bank)]

    def crosses(self, value):
        """In how many ms the shown time comes down to `value` from above, or None."""
        return next((wait + top - value for wait, top in self.falls() if top > value), None)

    def then(self, ms):
        """The same clock after running on for so long."""
        later = object.__new__(type(self))
        later.__dict__.update(self.__dict__)
        later.run(ms)
        return later


class Fischer(Clock):
    def hand_over(self):
        self.bank += self.rule["increment_ms"]


class Delay(Clock):
    def free(self):
        return max(0, self.rule["delay_ms"] - self.turn) if self.bank else 0

    def cost(self, ms):
        return max(0, ms - self.free())

    def can_run(self):
        return self.bank + self.free()

    def falls(self):
        return [(self.free(), self.bank)]

    def counters(self):
        return {"delay_left_ms": self.free()}


class Bronstein(Clock):
    def hand_over(self):
        self.bank += min(self.turn, self.rule["delay_ms"])


class Overtime(Clock):
    """What is left in `over` counts when the bank is gone."""

    over = 0

    def run(self, ms):
        cost = super().run(ms)
        self.over -= min(self.over, ms - cost)
        return cost

    def can_run(self):
        return self.bank + self.over

    def falls(self):
        return [(0, self.bank), (self.bank, self.over)]


class Byoyomi(Overtime):
    def __init__(self, bank, rule):
        super().__init__(bank, rule)
        self.over = rule["periods"] * rule["period_ms"]

    def whole_periods(self):
        """The running one among them."""
        return -(-self.over // self.rule["period_ms"])

    def hand_over(self):
        self.over = self.whole_periods() * self.rule["period_ms"]

    def shown(self):
        if self.bank or not self.over:
            return self.bank
        return (self.over - 1) % self.rule["period_ms"] + 1

    def falls(self):
        """The bank, what is left of the running period, and one of those behind it."""
        period = self.rule["period_ms"]
        running = (self.over - 1) % period + 1 if self.over else 0
        behind = period if self.over > running else 0
        return [(0, self.bank), (self.bank, running), (self.bank + running, behind)]

    def counters(self):
        return {"periods_left": self.whole_periods()}


class Canadian(Overtime):
    def __init__(self, bank, rule):
        super().__init__(bank, rule)
        self.block()

    def block(self):
        self.over, self.moves = self.rule["period_ms"], self.rule["moves"]

    def hand_over(self):
        if self.bank:
            return
        self.moves -= 1
        if self.moves == 0:
            self.block()

    def shown(self):
        return self.bank or self.over

    def counters(self):
        return {"moves_left": self.moves}


class Hourglass(Clock):
    """Whoever keeps both clocks gives to the one what the other one burnt."""

    def gain(self, ms):
        if self.bank:
            self.bank += ms


class PerMove(Clock):
    def hand_over(self):
        self.bank = self.allotted


class Stages(Clock):
    stage, made = 0, 0

    def row(self):
        return self.rule["stages"][self.stage]

    def hand_over(self):
        row = self.row()
        self.bank += row["increment_ms"]
        self.made += 1
        if self.made == row.get("moves"):
            self.bank += row["add_ms"]
            self.stage, self.made = self.stage + 1, 0

    def counters(self):
        out = {"stage": self.stage + 1}
        if "moves" in self.row():
            out["moves_left"] = self.row()["moves"] - self.made
        return out


CONTROLS = {"fischer": Fischer, "delay": Delay, "bronstein": Bronstein, "byoyomi": Byoyomi,
            "canadian": Canadian, "hourglass": Hourglass, "per_move": PerMove, "stages": Stages}
