"""Pure core of updown: values with timestamps in, values out.

Nothing in this package reads a clock, a file or a socket, starts a task or draws a random number, so live, replay and
backtest run the same code. Import it without trio.
"""
