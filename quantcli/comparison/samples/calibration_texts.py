"""Texts to calibrate with, written for this project. None of them is one to measure with."""

from __future__ import annotations

CALIBRATION_TEXTS = (
    "The last bus to the airport had already gone when we found the right stop.",
    "Yes, of course.",
    "Has anybody seen the small ladder that used to stand behind the shed?",
    "Chop two onions, fry them in butter until they are soft, and pour in the stock.",
    "Parliament will vote next week on whether the old bridge should be closed to lorries.",
    "for i in range(10):\n    print(i, i ** 2)",
    "Meine Schwester arbeitet seit März in einer Gärtnerei am Stadtrand.",
    "A small plane crossed the valley twice, dropped something white, and flew back west.",
    "Hello!",
    "Copper conducts electricity better than iron, and silver better than either.",
    "He collected maps of cities that he had no intention of visiting.",
    "Le boulanger ferme le lundi, mais sa voisine vend du pain chez elle.",
    "The blood test showed a slightly raised level of iron, which is no reason for concern.",
    "Where do I sign?",
    "The airline cut its forecast for the year after fuel prices jumped by a fifth.",
    "INSERT INTO visits (day, guests) VALUES ('2021-05-04', 312);",
    "If you ask me, the second film was better than the first, although nobody agrees.",
    "Mañana por la tarde iremos al puerto para ver llegar los barcos.",
    "Two children are building a castle of wet sand.",
    "The buyer may cancel the order at any time before the goods have been shipped.",
    "Seventeen is a prime number, and so is nineteen.",
    "The pianist turned the page herself, without missing a note.",
    "Take the lift to the sixth floor and ask for Mrs Okafor at the second desk.",
    "駅前の本屋は来月いっぱいで閉店するそうです。",
    "This backpack is roomy, the zips run smoothly, and after a year it still looks new.",
    "Never again: the soup was cold, the waiter rude, and they charged us for the bread.",
    "Frogs return every spring to the pond in which they hatched.",
    "Error: connection refused (port 5432). Is the database running?",
    "Dear neighbours, on Saturday we will be moving furniture, so it may get loud before noon.",
    "You must be logged in to change the settings of this project.",
    "Завтра в нашем районе на весь день отключат горячую воду.",
    "How far is it from Lisbon to Porto by train?",
    "The lake has been frozen since December, and people skate to work.",
    "My uncle says that a good knife needs no explanation.",
    "while (queue.length > 0) { const job = queue.shift(); run(job); }",
    (
        "On the first day of the month the landlord walked through the house with a notebook, "
        "tapped each radiator twice, wrote something down, and never said what it was, so that "
        "after some years the tenants had many theories and no answers."
    ),
    "Happy birthday! 🎂 I hope you have a lovely day!",
    "Archaeologists have uncovered a Roman bath under the car park of a supermarket.",
    "De winkel op de hoek verkoopt nu ook verse bloemen.",
    "The yellow kite got stuck in the tallest tree of the park.",
    "Batteries are not included.",
    "She doesn't drive, and he won't walk.",
    "The best time to plant a tree was twenty years ago; the second best is now.",
    "Sound travels about four times faster in water than in air.",
    "lol ok see u at 8 then, bring snacks",
    "图书馆的二楼正在装修,请从侧门进入。",
    "In the ninetieth minute the substitute headed the ball into the top corner.",
    "pip install --upgrade requests && python -m pytest -q",
    "Would you mind watering the tomatoes while we are away?",
    "Swimming in the reservoir is prohibited because of underwater currents.",
    "A loja de ferragens fica ao lado da farmácia, em frente à praça.",
    "Half of the patients received the drug and half a placebo; neither group knew which.",
    "Three pencils, a rubber, a broken compass and the cap of a pen.",
    "Long ago, in a village between two hills, there lived a weaver who could not sleep.",
    "Insert the battery with the plus sign facing up, then close the cover until it clicks.",
    "The war of the roses ended in 1487, with a battle that few people remember.",
    "Dad, can you pick me up at the station at quarter past four?",
    "Net profit fell 12 % to 86 million euros as the cost of raw materials went up.",
    "क्या आप मुझे बता सकते हैं कि डाकघर कहाँ है?",
    "Mist lay over the fields until noon, and the church tower stood in it like a mast.",
    "Did you remember to turn off the iron?",
    "The area of a circle is pi times the square of its radius.",
    "The poem has fourteen lines, and the turn comes in the ninth.",
    "E = mc²",
    "When the factory closed, the canteen stayed open, and it still serves the best soup in town.",
    "I will be on parental leave until the end of August; please write to my colleagues.",
    "ذهبنا إلى السوق صباحا واشترينا خبزا وزيتونا وجبنة.",
    "Ants follow a trail of scent that fades after a few minutes unless others renew it.",
    "The coffee machine needs descaling; the manual is in the top drawer.",
    "Should I rent a car there, or is everything within walking distance?",
    "Rain.",
    "The curtain rose on an empty stage, a single chair, and a telephone that would not stop.",
    "Whisk the egg whites until stiff, then fold them gently into the chocolate.",
    '[{"city": "Oslo", "celsius": -4.5}, {"city": "Rome", "celsius": 11.0}]',
    "This tower was built to watch for fires, and later used to dry hoses.",
    "En tiedä, milloin seuraava juna lähtee Turkuun.",
    "Thank you for your interest in our company. We will contact you within two weeks.",
    "Keep the buoy to your right and steer for the white chapel on the hill.",
    "A landslide has blocked the mountain road, and the pass will stay closed until Friday.",
    "The phone fell, the screen cracked, and the call went on as if nothing had happened.",
    "어제 산 우산을 지하철에 두고 내렸다.",
    "One moment, I have another call.",
    "The caretaker knew which of the windows could be opened from outside.",
    "Rinse the lentils, cover them with water, and let them simmer for twenty minutes.",
    "Every action has an equal and opposite reaction.",
    "Pets are allowed in the garden, but not on the terrace or in the dining room.",
    "Maps age faster than mountains.",
    (
        "There is a kind of silence that only large kitchens have, late at night, when the last "
        "pans hang dripping from their hooks and somebody, out of habit more than hunger, cuts "
        "a slice from yesterday's loaf and eats it standing at the window."
    ),
    "import csv, sys; rows = list(csv.DictReader(sys.stdin)); print(len(rows))",
    "He sent her a postcard with nothing on it except the name of a street and a question mark.",
    "Scusi, a che ora parte il prossimo traghetto per l'isola?",
    "Olive oil has become so expensive that some restaurants have removed it from their tables.",
    "Hold the card against the reader and wait for the beep.",
    "She could whistle any tune backwards, and sometimes did so at weddings.",
    "FIXME: the timeout is ignored when the socket is already open",
    "Whether the meeting takes place depends on how many people can come.",
    "The tide had carried off the bench, the bin, and half of the path.",
    "Buffalo are larger than cows, cows are larger than goats, and goats fear neither.",
    "Mars has two moons, both of them small, dark and shaped like potatoes.",
    "That, ladies and gentlemen, concludes the boring part of the evening.",
    (
        "class Stack:\n    def __init__(self):\n        self.items = []\n\n"
        "    def push(self, item):\n        self.items.append(item)\n\n"
        "    def pop(self):\n        return self.items.pop()"
    ),
    "Pociąg do Krakowa odjeżdża z peronu trzeciego o godzinie siódmej.",
    "Tåget är försenat, så vi hinner dricka en kopp kaffe till.",
    "Son otobüs gece yarısından önce kalkıyor.",  # noqa: RUF001 - Turkish
    "Chuyến tàu đêm đến Huế lúc sáu giờ sáng.",
    "Το καφενείο στην πλατεία είναι ανοιχτό μέχρι αργά.",  # noqa: RUF001 - Greek
    "הספר שהשאלתי מהספרייה נמצא על השולחן.",
    "รถไฟขบวนสุดท้ายออกเวลาเที่ยงคืน",
    "Vlak do Brna má dvacet minut zpoždění.",
    "Вчора ввечері над містом було видно комету.",
    "Kereta ke Bandung berangkat setiap dua jam.",
    "Az esti vonat mindig tele van diákokkal.",
    "Trenul de noapte ajunge la Cluj în zori.",
    "Treni ya asubuhi huondoka saa moja na nusu.",
    "Q: What is the capital of Australia?\nA: Canberra, although many people guess Sydney.",
    "User: Can you shorten this sentence for me?\nAssistant: Of course. Please paste it here.",
    "Subject: Invoice 20418\n\nAttached is the invoice for April. Payment is due in 14 days.",
    "# Installation\n\n1. Download the archive.\n2. Unpack it.\n3. Run `make install`.",
    '<p>The shop is <b>closed</b> today. <a href="/hours">Opening hours</a></p>',
    "name: build\non: [push]\njobs:\n  test:\n    runs-on: ubuntu-latest",
    "SELECT c.name, COUNT(*) FROM orders o JOIN customers c ON c.id = o.customer GROUP BY c.name;",
    'fn main() {\n    let total: u32 = (1..=100).sum();\n    println!("{total}");\n}',
    '#include <stdio.h>\nint main(void) { puts("ready"); return 0; }',
    "The integral of x from 0 to 1 is 1/2, and that of x² is 1/3.",
    "Let n be even. Then n = 2k for some k, so n² = 4k² is divisible by four.",
    "A train travels 180 km in two hours. What is its average speed? 180 / 2 = 90 km/h.",
    "2024-03-11 08:14:52 WARN disk usage at 91 % on /dev/sda1",
    "Monday: soup. Tuesday: pasta. Wednesday: fish. Thursday: leftovers. Friday: pizza.",
    "positive",
    "The plot is thin, but the actors carry it, and the last ten minutes are superb. 4/5 stars.",
    "Do not buy this vacuum cleaner. It is loud, heavy, and broke after three weeks.",
    "The room was fine, the view excellent, and the staff could not have been kinder.",
    "Average. Neither good nor bad.",
    "Sales of electric bicycles overtook those of ordinary ones for the first time.",
    "The prime minister resigned on Sunday after losing the support of her coalition.",
    "Scientists found traces of water in a rock that fell from the sky in 1972.",
    "The champion lost in straight sets to a player whom hardly anyone had heard of.",
    "Mozart was born in Salzburg in 1756 and died in Vienna in 1791.",
    "Ms Alvarez from the Madrid office will meet Dr Tanaka of Kyoto University in Geneva in June.",
    "Photosynthesis turns carbon dioxide and water into sugar and oxygen, driven by sunlight.",
    "A contract is void if one of the parties was forced to sign it.",
    "Symptoms include fever, a dry cough and loss of smell; see a doctor if they last a week.",
    "The liver breaks down alcohol at a rate of about seven grams per hour.",
    "To reset your password, click on the link that we sent to your e-mail address.",
    "Knock, knock. Who's there? Lettuce. Lettuce who? Lettuce in, it's cold out here!",
    "Roses need sun, water, and somebody who dares to cut them.",
    '"I never said that," he whispered, "but I did think it, every day, for eleven years."',
    "A dog, a cat and a hen shared a barn and agreed on nothing but the hour of supper.",
    "Volcanic ash made the sunsets of that year so red that painters were accused of lying.",
    "the quick answer is no the long answer is also no but with footnotes",
    "WARNING! HIGH VOLTAGE! KEEP OUT!",
    "ok",
    "???",
    "3.14159265358979",
    "https://example.org/search?q=blue+whale&page=2",
    "+44 20 7946 0123",
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
