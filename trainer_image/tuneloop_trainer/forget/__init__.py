"""Takes one person out of everything that was kept, and names the adapters that saw them.

    person     who it is: the hash that stands for a user, and what is theirs
    recorded   their entries in the streams of a target, and feedback by them or on their answers
    sealed     the same in the archive
    cached     answers that they were given, in the server's cache
    datasets   their rows in datasets and golden sets
    trained    adapters whose dataset held them
    command    all of it, in order

Everything is found before anything is removed, and what leads to other places is removed last: a run that was killed is simply run
again. Nothing that is printed names the person.
"""
