"""The texts to calibrate with that are no single sentence: words, code, lists, paragraphs."""

from __future__ import annotations

SNIPPETS = (
    "for i in range(10):\n    print(i, i ** 2)",
    "Hello!",
    "INSERT INTO visits (day, guests) VALUES ('2021-05-04', 312);",
    "while (queue.length > 0) { const job = queue.shift(); run(job); }",
    (
        "On the first day of the month the landlord walked through the house with a notebook, "
        "tapped each radiator twice, wrote something down, and never said what it was, so that "
        "after some years the tenants had many theories and no answers."
    ),
    "The best time to plant a tree was twenty years ago; the second best is now.",
    "Half of the patients received the drug and half a placebo; neither group knew which.",
    "E = mc²",
    "I will be on parental leave until the end of August; please write to my colleagues.",
    "The coffee machine needs descaling; the manual is in the top drawer.",
    "Rain.",
    '[{"city": "Oslo", "celsius": -4.5}, {"city": "Rome", "celsius": 11.0}]',
    (
        "There is a kind of silence that only large kitchens have, late at night, when the last "
        "pans hang dripping from their hooks and somebody, out of habit more than hunger, cuts "
        "a slice from yesterday's loaf and eats it standing at the window."
    ),
    "import csv, sys; rows = list(csv.DictReader(sys.stdin)); print(len(rows))",
    (
        "class Stack:\n    def __init__(self):\n        self.items = []\n\n"
        "    def push(self, item):\n        self.items.append(item)\n\n"
        "    def pop(self):\n        return self.items.pop()"
    ),
    "Q: What is the capital of Australia?\nA: Canberra, although many people guess Sydney.",
    "User: Can you shorten this sentence for me?\nAssistant: Of course. Please paste it here.",
    "Subject: Invoice 20418\n\nAttached is the invoice for April. Payment is due in 14 days.",
    "# Installation\n\n1. Download the archive.\n2. Unpack it.\n3. Run `make install`.",
    '<p>The shop is <b>closed</b> today. <a href="/hours">Opening hours</a></p>',
    "name: build\non: [push]\njobs:\n  test:\n    runs-on: ubuntu-latest",
    "SELECT c.name, COUNT(*) FROM orders o JOIN customers c ON c.id = o.customer GROUP BY c.name;",
    'fn main() {\n    let total: u32 = (1..=100).sum();\n    println!("{total}");\n}',
    '#include <stdio.h>\nint main(void) { puts("ready"); return 0; }',
    "Let n be even. Then n = 2k for some k, so n² = 4k² is divisible by four.",
    "A train travels 180 km in two hours. What is its average speed? 180 / 2 = 90 km/h.",
    "positive",
    "Symptoms include fever, a dry cough and loss of smell; see a doctor if they last a week.",
    "ok",
    "???",
    "3.14159265358979",
    "https://example.org/search?q=blue+whale&page=2",
    "def area(radius):\n    return 3.14159 * radius ** 2",
    "UPDATE stock SET amount = amount - 1 WHERE item = 'bolt' AND amount > 0;",
    "for (const name of names) { console.log(name.trim().toLowerCase()); }",
    "docker run --rm -p 8080:80 -v $PWD/site:/usr/share/nginx/html nginx",
    "a² + b² = c²",
    "Please hold the line; you are number four in the queue.",
    "Thunder.",
    '{"user": "mkay", "active": true, "roles": ["editor"], "last_login": "2023-06-01"}',
    "Speak a little slower, please; I am still learning the language.",
    "git log --oneline --since='2 weeks ago' | wc -l",
    "Q: How many bones does an adult have?\nA: Two hundred and six.",
    "User: Translate 'good morning' into Portuguese.\nAssistant: 'Good morning' is 'bom dia'.",
    "Subject: Lunch on Friday\n\nShall we try the new Korean place? Table at half past twelve.",
    "## Usage\n\nCall `convert` with the path of a file. It returns the text as a string.",
    "<ul><li>eggs</li><li>milk</li><li>bread</li></ul>",
    "public static int max(int a, int b) { return a > b ? a : b; }",
    '192.0.2.44 - - [02/May/2024:11:20:07 +0000] "GET /index.html HTTP/1.1" 200 5120',
    "negative",
    "neutral",
    "yes",
    "...",
    "info@example.com",
    (
        "Bread is older than writing. Long before anyone thought of scratching a mark for "
        "barley into clay, people crushed wild grain between stones, mixed it with water and "
        "let it dry on hot rocks. Yeast came later, probably by accident: a bowl of dough was "
        "forgotten, began to bubble, and whoever baked it anyway must have been surprised at "
        "how light the loaf was. For thousands of years bakers kept a piece of each day's dough "
        "to start the next, without knowing that what they kept was alive."
    ),
    (
        "The bicycle owes its success to a series of small inventions. The pedals were at "
        "first fixed to the front wheel, so a faster bicycle needed a larger wheel, and riders "
        "sat dangerously high. The chain made it possible to drive the rear wheel instead, and "
        "gears of different size took over the task of the large wheel. Pneumatic tyres, "
        "invented for a child's tricycle, made cobbled streets bearable. By 1890 the bicycle "
        "looked much as it does today, and it has changed in little but its materials since."
    ),
    (
        "Der Leuchtturmwärter hatte drei Aufgaben: das Licht anzünden, das Licht löschen und "
        "dazwischen aufschreiben, was er sah. Meistens schrieb er nur das Wetter auf, manchmal "
        "den Namen eines Schiffes, und einmal, in einer klaren Winternacht, eine ganze Seite "
        "über das Meer, die er am nächsten Morgen wieder herausriss."
    ),
    (
        "Quand on lui demandait pourquoi elle avait quitté la ville, elle répondait toujours "
        "autre chose : le bruit, le loyer, un chien malade, un héritage. La vérité était plus "
        "simple. Un matin, en attendant le métro, elle s'était aperçue qu'elle ne savait plus "
        "le nom d'un seul arbre."
    ),
    (
        "To change a flat tyre, first park the car on firm, level ground and apply the hand "
        "brake. Loosen the wheel nuts by half a turn before you lift the car. Place the jack "
        "under the lifting point that is marked on the sill, and raise the car until the wheel "
        "turns freely. Remove the nuts, pull the wheel towards you, and fit the spare one. "
        "Tighten the nuts by hand, lower the car, and only then tighten them firmly, in the "
        "order of a star. Check the pressure as soon as you can, and the nuts after fifty "
        "kilometres."
    ),
    (
        "A hash table stores pairs of keys and values so that a value can be found in constant "
        "time on average. A function maps each key to the index of a bucket. Two keys may have "
        "the same index, which is called a collision, and there are two common remedies: to "
        "keep a list of pairs in each bucket, or to look for another free bucket by a fixed "
        "rule. When the table fills up, collisions become frequent, so it is copied into a "
        "larger one before that happens. The worst case is linear, and an attacker who can "
        "choose the keys may provoke it unless the function is seeded at random."
    ),
    (
        "The court finds as follows. The tenant informed the landlord of the defect in writing "
        "on 3 February and set a deadline of four weeks, which is reasonable. The landlord did "
        "not reply. From 4 March on, the tenant was therefore entitled to reduce the rent by "
        "twenty per cent. That the heating failed only on some days does not change this, since "
        "a flat that cannot be heated reliably in winter is worth less to its tenant on every "
        "day of it. The appeal is dismissed, and the landlord bears the costs."
    ),
    (
        '"You kept the receipt?" she asked. "I keep every receipt," said the old man, and '
        "pulled a shoebox from under the counter. There were hundreds of them, tied in bundles "
        'with kitchen string. "This one," he said, "is from the day the shop opened. And this '
        'one is from the day before, when I bought the string."'
    ),
)
