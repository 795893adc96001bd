"""The side of updown that touches the world: sockets, files, clocks, random numbers and tasks, on trio."""
