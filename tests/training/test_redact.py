import pytest

from tuneloop_trainer.curate.redact import redact

PERSONAL = [
    ("write to ana.maria+x@example.com.br, please", "write to [EMAIL], please", ["Email"]),
    ("josé@exemplo.com", "[EMAIL]", ["Email"]),
    ("call +55 11 91234-5678 now", "call [PHONE] now", ["Phone"]),
    ("call +1 (555) 123-4567.", "call [PHONE].", ["Phone"]),
    ("call (555) 123-4567", "call [PHONE]", ["Phone"]),
    ("555-123-4567 or 555.123.4567", "[PHONE] or [PHONE]", ["Phone", "Phone"]),
    ("+442079460958", "[PHONE]", ["Phone"]),
    ("0044 20 7946 0958", "[PHONE]", ["Phone"]),
    ("020 7946 0958", "[PHONE]", ["Phone"]),
    ("+33 6 12 34 56 78 ou 06 12 34 56 78", "[PHONE] ou [PHONE]", ["Phone", "Phone"]),
    ("+49 151 23456789", "[PHONE]", ["Phone"]),
    ("meu número é (11) 91234-5678", "meu número é [PHONE]", ["Phone"]),
    ("fixo: (11) 3456-7890", "fixo: [PHONE]", ["Phone"]),
    ("11 91234-5678 e 91234-5678", "[PHONE] e [PHONE]", ["Phone", "Phone"]),
    ("11912345678", "[PHONE]", ["Phone"]),
    ("(11)912345678", "[PHONE]", ["Phone"]),
    ("card 4111 1111 1111 1111 12/27", "card [CARD] 12/27", ["Card"]),
    ("4111-1111-1111-1111", "[CARD]", ["Card"]),
    ("4111111111111111", "[CARD]", ["Card"]),
    ("378282246310005", "[CARD]", ["Card"]),
    ("3782 822463 10005", "[CARD]", ["Card"]),
    ("order 22 5555 5555 5555 4444", "order 22 [CARD]", ["Card"]),
    ("2223003122003222", "[CARD]", ["Card"]),
    ("CPF 529.982.247-25", "CPF [CPF]", ["Cpf"]),
    ("52998224725", "[CPF]", ["Cpf"]),
    ("CNPJ 11.222.333/0001-81", "CNPJ [CNPJ]", ["Cnpj"]),
    ("IBAN DE89 3704 0044 0532 0130 00", "IBAN [IBAN]", ["Iban"]),
    ("pay to GB82WEST12345698765432 TODAY", "pay to [IBAN] TODAY", ["Iban"]),
    ("from 203.0.113.77 and 192.168.1.10:8080", "from [IP] and [IP]:8080", ["Ip", "Ip"]),
]

HARMLESS = [
    "on 2024-01-15 at 10:30:45", "15/01/2024", "15.01.2024", "from 1990-2000", "2023-2024", "20240115103000", "2024-01-15T10:30:00.123Z",
    "1700000000000", "R$ 1.234.567,89", "$1,234,567.89", "€ 12 345 678,90", "99.90", "+10.5%", "Python 3.11.4", "version 1.2.3.4",
    "v10.0.19045.1", "127.0.0.1", "255.255.255.0", "ISBN 978-3-16-148410-0", "4111 1111 1111 1112", "RFC 9110, section 15.5.5",
    "port 5432 on host 8080", "3 x 4 = 12", "a@b", "user@host", "@handle", "529.982.247-26", "items 1, 2, 3, 4, 5, 6, 7, 8, 9, 10",
    "sha256:9f86d081884c7d659a2feaa0c55ad015", "0.123456789012", "build 20240115", "the years 1998 1999 2000 2001", "cep 01310-100",
    "12345678", "1 000 000", "10-12-14",
]  # fmt: skip


@pytest.mark.parametrize(("text", "want", "kinds"), PERSONAL, ids=[text for text, _, _ in PERSONAL])
def test_takes_out_personal_data(text: str, want: str, kinds: list[str]) -> None:
    assert redact(text) == (want, kinds)


@pytest.mark.parametrize("text", HARMLESS)
def test_leaves_what_only_looks_like_it(text: str) -> None:
    assert redact(text) == (text, [])


def test_a_long_blob_costs_no_more_than_its_length() -> None:
    """Runs into the test's time limit if a pattern goes back over and over."""
    for blob in ("a" * 300_000, "1" * 300_000, "1 " * 150_000, "a.b-" * 80_000, "A" * 300_000, "AB12 " * 60_000, "+1" * 150_000):
        redact(blob)


def test_twice_changes_nothing() -> None:
    once, _ = redact("ana@example.com +55 11 91234-5678 4111 1111 1111 1111 529.982.247-25")
    assert redact(once) == (once, [])
