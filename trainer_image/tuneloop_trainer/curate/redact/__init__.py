"""Personal data and secrets out of a text: found by pattern, and by check digits wherever the number has them.

    span        what is found: a place in the text and a kind; which kind wins where two overlap
    plain       a text as the rules read it: in plain letters
    digits      numbers in print: the runs of digits that the rules for numbers look at
    contact     e-mail addresses
    phone       telephone numbers
    payment     cards, IBANs
    identity    CPF, CNPJ, US social security numbers
    network     IP addresses, URLs with credentials
    credential  private keys in PEM, JSON web tokens, API keys
    find        all of these over one text: spans that do not overlap, on the text as it was
    replace     numbered placeholders in their stead: one value, one placeholder, all through a conversation
    presidio    names and addresses too, where Microsoft Presidio is installed and asked for

Names and street addresses have no pattern: without Presidio they stay, which is for people to know before they train. Nothing here
costs more than in proportion to the text's length, whatever the text.
"""
