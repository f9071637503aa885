"""What may share an answer, and which rule keeps the rest apart."""

import pytest

from tuneloop_server.semcache.guard.judge import objection


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("How do I reset my password?", "how can i reset my pasword"),
        ("How do I reset my password?", "Hi, could you please tell me how to reset my password? Thanks!"),
        ("What are the steps to delete my account?", "How can I remove my account?"),
        ("Who wrote Hamlet?", "Who is the author of Hamlet?"),
        ("How tall is Mount Everest?", "What is the height of Mount Everest?"),
        ("How much does the premium plan cost?", "What's the premium plan's price?"),
        ("How do I enable dark mode?", "How can I turn on dark mode?"),
        ("Can I return an item after 30 days?", "Is it possible to return a product after thirty days?"),
        ("What is the difference between TCP and UDP?", "How do TCP and UDP differ?"),
        ("How do I sort a list in Python?", "Python: how to sort a list"),
        ("What's the capital of France?", "capital of france"),
        ("Are you open on Sunday?", "u open on sunday?"),
        ("Set an alarm for the 3rd at 07:30", "Set an alarm for the third at 7:30"),
        ("How do I apply for a mortgage?", "How can I request a mortgage?"),  # near here, though not everywhere
        ("How do I renew a passport?", "What's the best way to go about a passport renewal?"),
        ("Which vitamins do carrots contain?", "What vitamins are found in carrots?"),
        ("Who directed Alien?", "Who was the director of the movie Alien?"),
        ("How can I restart nginx?", "How do I restart the nginx service?"),
        ("How do I change the app's language?", "How do I change the language of the app?"),
        ("Does the guide cover Lisbon?", "Is Lisbon covered by the guide?"),
        ("Do you offer student discounts?", "Is there a discount for students?"),
        ("Why does the screen flicker?", "Hey, just curious: why is the screen flickering?"),
        ("What causes inflation?", "No rush, but why does inflation happen?"),
        ("Can I get a refund?", "Is it possible to get my money back?"),
        ("What happens if I lose my key?", "What happens when I lose my key?"),
        ("Is there an automated teller machine here?", "Is there an ATM here?"),
        ("How do I combine two PDF files?", "How can I merge two PDFs?"),
        ("How do I create a branch?", "How can I make a new branch?"),
        ("Do you offer student discounts?", "Do you offfer stdent discunts?"),
        ("How do I send a gift card to a friend?", "How can I send a giftcard to a friend?"),
        ("Bail vs parole", "What is the difference between bail and parole?"),
        ("Can you explain how precision and recall differ from one another?", "What's the difference between precision and recall?"),
        ("What's the meaning of 'pro bono'?", "What does pro bono mean?"),
        ("How do I activate an eSIM on my iPhone?", "how do i activate an esim on my iphone"),
        ("Combine two PDF files into one", "Merge two PDF files"),
        ("Can I pay in instalments when I check out?", "Is it possible to pay in instalments when I check out?"),
        ("Printer offline, why?", "Why is my printer offline?"),
        ("VPN connection from home, how to?", "How do I connect to the VPN from home?"),
        ("Unpaid leave for a language course, allowed?", "Can I take unpaid leave for a language course?"),
        ("Has my order left the warehouse?", "Has my order left the depot?"),
        ("Como faço para redefinir minha senha?", "Como posso redefinir a minha senha?"),
        ("Qual é o horário de funcionamento?", "qual o horario de funcionamento"),
        ("Como cancelo um pedido?", "oi, como q cancelo um pedido?"),
        ("Por que o céu é azul?", "Por que razão o céu é azul?"),
        ("Com que frequência se troca o óleo do carro?", "De quanto em quanto tempo se troca o óleo do carro?"),
        ("Como reservo uma sala de reunião?", "Como agendo uma sala de reunião?"),
        ("Posso devolver o produto após 30 dias?", "É possível devolver o produto depois de 30 dias?"),
        ("Wie kann ich mein Passwort zurücksetzen?", "wie kann ich mein passwort zurücksetzen"),
    ],
)
def test_the_same_question_in_other_words_passes(a: str, b: str) -> None:
    assert (objection(a, b), objection(b, a)) == (None, None)


@pytest.mark.parametrize(
    ("a", "b", "rule"),
    [
        ("What is 17 * 23?", "What is 17 * 24?", "number"),
        ("What is 17 * 23?", "What is 17 + 23?", "number"),
        ("Is 10 > 20?", "Is 20 > 10?", "number"),
        ("Add two cups of flour", "Add three cups of flour", "number"),
        ("What changed in version 3.10?", "What changed in version 3.1?", "number"),
        ("My flight is at 7 am", "My flight is at 7 pm", "content"),
        ("Why should I use Redis?", "Why should I not use Redis?", "negation"),
        ("Restaurants with outdoor seating", "Restaurants without outdoor seating", "negation"),
        ("Posso viajar com cachorro?", "Posso viajar sem cachorro?", "negation"),
        ("Quero cancelar meu pedido", "Nunca quero cancelar meu pedido", "negation"),
        ("How do I enable the alarm?", "How do I disable the alarm?", "opposite"),
        ("Can I take it before meals?", "Can I take it after meals?", "opposite"),
        ("How do I mount a disk?", "How do I unmount a disk?", "opposite"),
        ("Como aumento o limite do cartão?", "Como diminuo o limite do cartão?", "opposite"),
        ("Como ativo o modo escuro?", "Como desativo o modo escuro?", "opposite"),
        ("How do I install it on Windows?", "How do I install it on Linux?", "name"),
        ("Translate 'what is it' to Spanish", "Translate 'who is it' to Spanish", "quotation"),
        ("What does get_user return?", "What does get_item return?", "quotation"),
        ("When did the war start?", "Why did the war start?", "question"),
        ("How do I cancel my order?", "Cancel my order", "question"),
        ("Will the meeting be recorded?", "Was the meeting recorded?", "tense"),
        ("Can I call you?", "Can you call me?", "person"),
        ("What is my address?", "What is your address?", "person"),
        ("Can I return shoes?", "Can I return shoes bought on sale?", "content"),
        ("Is the weather in Paris good in May?", "Is the weather in Paris good?", "content"),
        ("convert dollar to euro", "convert euro to dollar", "direction"),
        ("Flights from london to paris", "Flights from paris to london", "direction"),
        ("Was it sent by Anna?", "Was it sent to Anna?", "direction"),
        ("Who is my father's boss?", "Who is my boss's father?", "direction"),
        ("Does the teacher know the student?", "Does the student know the teacher?", "order"),
        ("What do cats eat?", "What eats cats?", "order"),
        ("Who was the president?", "Who is the president?", "tense"),
        ("What is it?", "What is this?", "content"),
        ("How much does the service cost?", "How much does the plan cost?", "content"),  # two kinds, and not the same
        ("How do I apply for a refund?", "How do I apply for a visa?", "content"),
        ("Explain how vaccines work", "Explain how vaccines are made", "content"),
        ("How do I get a refund?", "How do I give a refund?", "content"),
        ("Can I get a full refund?", "Can I get a refund?", "content"),
        ("Do I need to register?", "Can I register?", "content"),
        ("Should I take aspirin?", "Can I take aspirin?", "content"),
        ("How do I get a visa for Spain?", "How do I get a work visa for Spain?", "content"),
        ("Describe machine learning", "How do I learn machine learning?", "content"),
        ("When and where is the party?", "When is the party?", "question"),
        ("Can I exchange dollars for euros?", "Can I exchange euros for dollars?", "direction"),
        ("Is it a mutex?", "Is it a mutt?", "content"),
        ("Does smoking cause stress?", "Does stress cause smoking?", "order"),
        ("Should I eat before running?", "Should I run before eating?", "order"),
        ("Replace tabs with spaces", "Replace spaces with tabs", "direction"),
        ("Why use redis, not valkey?", "Why use valkey, not redis?", "order"),
        ("How many pounds are 80 kilograms?", "How many kilograms are 80 pounds?", "number"),
        ("How do I use one gift card for two orders?", "How do I use two gift cards for one order?", "direction"),
        ("Can my employer read my emails?", "Can I read my employer's emails?", "person"),
        ("How do I abort a merge?", "How do I resolve a merge?", "content"),
        ("Change my payment method", "Change my payment date", "content"),
        ("Download this month's invoice", "Download last month's invoice", "content"),
        ("Explain dark matter", "How do we know dark matter exists?", "content"),
        ("Bail vs parole", "Which is better, bail or parole?", "content"),
        ("Printer offline, why?", "Printer offline, how to?", "question"),
        ("What does getUser return?", "What does getItem return?", "quotation"),
        ("Como bloqueio o cartão?", "Como desbloqueio o cartão?", "opposite"),
        ("Como reservo uma sala?", "Como cancelo uma sala?", "content"),
        ("Qual a frequência da troca de óleo?", "Qual o preço da troca de óleo?", "content"),
        ("How do I reset my password?", "Como posso redefinir a minha senha?", "language"),
    ],
)
def test_a_look_alike_is_kept_out_by_its_rule(a: str, b: str, rule: str) -> None:
    assert (objection(a, b), objection(b, a)) == (rule, rule)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("¿Cómo activo mi tarjeta?", "¿Cómo cancelo mi tarjeta?"),
        ("Wie kann ich mein Passwort zurücksetzen?", "Wie kann ich mein Konto zurücksetzen?"),
        ("Ist die Klinik am Montag offen?", "Ist die Klinik am Montag nicht offen?"),
        ("如何重置密码", "如何删除密码"),
        ("Как включить уведомления?", "Как выключить уведомления?"),
        ("", "How do I reset my password?"),
    ],
)
def test_what_no_list_knows_is_rejected(a: str, b: str) -> None:
    assert objection(a, b)


def test_a_text_of_any_kind_is_read() -> None:
    for text in ("", " ", "?!", "\x00\ud800", "a" * 5000, "1" * 500, "'" * 200, "💥 🤖", "«»“”``"):
        assert objection(text, text) is None
