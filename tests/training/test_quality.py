import pytest

from tuneloop_trainer.curate.quality import fault_of

QUESTION = "How do I reset my password?"

POOR = [
    ("...", "Meaningless"),
    ("word " * 7000, "TooLong"),
    ("how do I reset my PASSWORD", "Echo"),
    ("\n How  do I reset\tmy password ... ", "Echo"),
    ("O pre\ufffdo \u00e9 este.", "Garbled"),
    ("VocÃª pode redefinir a senha.", "Garbled"),
    ("Itâ€™s in the menu.", "Garbled"),
    ("I cannot help with that.", "Refusal"),
    ("I'm sorry, but I can't assist with that request.", "Refusal"),
    ("I’m sorry, I can’t provide legal advice.", "Refusal"),
    ("As an AI language model, I am unable to access your account.", "Refusal"),
    ("Unfortunately, I cannot answer this.", "Refusal"),
    ("I apologize, but I'm not able to discuss that topic.", "Refusal"),
    ("Desculpe, mas não posso ajudar com isso.", "Refusal"),
    ("Infelizmente não consigo acessar a sua conta.", "Refusal"),
    ("Como um modelo de linguagem, não posso fornecer aconselhamento jurídico.", "Refusal"),
    ("Sinto muito, não posso responder a essa pergunta.", "Refusal"),
    ("Go to the menu. " * 10, "Loop"),
    ("a" * 300, "Loop"),
    ("The the the the the the the the the the the the the the the the the the the the the.", "Loop"),
]

STEPS = " ".join(f"{n}. open page number {n} and read what it says about step {n}." for n in range(1, 12))
GOOD = [
    "Yes.",
    "42",
    "Open Settings, choose Security, then Reset password.",
    "Não, a fatura vence no dia 10. Ótima pergunta! ÂNGULO, AÇÃO, NÃO.",
    "I'm sorry to hear that! Open Settings and choose Reset password; the mail arrives in a minute.",
    "I can help with that: open Settings.",
    "Sorry, the shop is closed on Sunday.",
    "You cannot reset it without the e-mail.",
    "Não precisa de nada: clique em Esqueci a senha.",
    "def f(x):\n    return x + 1\n\ndef g(x):\n    return x + 2\n\ndef h(x):\n    return x + 3\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n| 5 | 6 |\n| 7 | 8 |",
    "パスワードをリセットするには、設定を開いてからセキュリティを選びます。",
    "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21",
    f"I'm sorry, but I can't do that for you. Here is how you do it yourself: {STEPS}",
]


@pytest.mark.parametrize(("answer", "want"), POOR, ids=[answer[:40] for answer, _ in POOR])
def test_finds(answer: str, want: str) -> None:
    assert fault_of(QUESTION, answer) == want


@pytest.mark.parametrize("answer", GOOD, ids=[answer[:40] for answer in GOOD])
def test_leaves(answer: str) -> None:
    assert fault_of(QUESTION, answer) is None
