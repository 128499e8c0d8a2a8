//! Sentences written by hand, one per rule or two, before the program said them.

use super::generator::languages::PARTNERS;
use super::generator::meaning::Quantity::{Three, Two};
use super::generator::meaning::Tense::{Future, Habit, Past, Present};
use super::generator::meaning::{Np, Predicate, Relation};
use super::generator::vocabulary::{Adjective, Name, Noun, Time, Verb};
use super::say::{I, WE, YOU, a, check, clause, count, my, some, the, this, verb};

#[test]
fn partners_stand_in_the_order_of_their_codes() {
    let codes: Vec<&str> = PARTNERS.iter().map(|l| l.code).collect();
    assert_eq!(codes, ["de", "es", "ja", "pt", "ru", "tr"]);
}

#[test]
fn what_is_going_on() {
    check(
        &clause(the(Noun::Woman), Present, verb(Verb::Read).what(a(Noun::Book))).stated(),
        [
            "The woman is reading a book.",
            "Die Frau liest ein Buch.",
            "La mujer está leyendo un libro.",
            "女の人は本を読んでいます。",
            "A mulher está lendo um livro.",
            "Женщина читает книгу.",
            "Kadın bir kitap okuyor.",
        ],
    );
    // Prepositional object in German, personal object in Spanish, dotted capital in Turkish.
    let wait = verb(Verb::WaitFor).what(a(Noun::Friend)).at(the(Noun::Station));
    check(
        &clause(I, Present, wait).stated(),
        [
            "I am waiting for a friend at the station.",
            "Ich warte am Bahnhof auf einen Freund.",
            "Estoy esperando a un amigo en la estación.",
            "私は駅で友達を待っています。",
            "Estou esperando um amigo na estação.",
            "Я жду друга на вокзале.",
            "İstasyonda bir arkadaş bekliyorum.",
        ],
    );
}

#[test]
fn fronted_time_inverts_german() {
    let buy = verb(Verb::Buy).what(a(Noun::Car).is(Adjective::New)).at(the(Noun::Market));
    check(
        &clause(the(Noun::Man), Past, buy).on(Time::Yesterday).first().stated(),
        [
            "Yesterday the man bought a new car at the market.",
            "Gestern hat der Mann auf dem Markt ein neues Auto gekauft.",
            "Ayer el hombre compró un coche nuevo en el mercado.",
            "昨日、男の人は市場で新しい車を買いました。",
            "Ontem o homem comprou um carro novo no mercado.",
            "Вчера мужчина купил новую машину на рынке.",
            "Dün adam pazarda yeni bir araba satın aldı.",
        ],
    );
}

#[test]
fn recipients() {
    let give = verb(Verb::Give).what(count(Three, Noun::Flower)).to(the(Noun::Child).plural());
    check(
        &clause(the(Noun::Teacher), Past, give).on(Time::Yesterday).stated(),
        [
            "The teacher gave three flowers to the children yesterday.",
            "Der Lehrer hat gestern den Kindern drei Blumen gegeben.",
            "El profesor les dio tres flores a los niños ayer.",
            "先生は昨日、子供たちに三本の花をあげました。",
            "O professor deu três flores às crianças ontem.",
            "Учитель вчера дал детям три цветка.",
            "Öğretmen dün çocuklara üç çiçek verdi.",
        ],
    );
    // A definite thing goes before the recipient in Turkish.
    let send = verb(Verb::Send).what(this(Noun::Letter)).to(Np::Name(Name::Anna));
    check(
        &clause(WE, Future, send).on(Time::NextWeek).stated(),
        [
            "We will send this letter to Anna next week.",
            "Wir werden nächste Woche Anna diesen Brief schicken.",
            "Le enviaremos esta carta a Anna la próxima semana.",
            "私たちは来週、アンナにこの手紙を送ります。",
            "Enviaremos esta carta a Anna na próxima semana.",
            "Мы на следующей неделе пошлём Анне это письмо.",
            "Gelecek hafta bu mektubu Anna'ya göndereceğiz.",
        ],
    );
}

#[test]
fn reasons() {
    // The girl is "es" in German; her tiredness agrees in Spanish, Portuguese and Russian.
    check(
        &clause(the(Noun::Girl), Present, verb(Verb::Work)).not().because(clause(
            Np::Same,
            Present,
            Adjective::Sick,
        )),
        [
            "The girl is not working because she is sick.",
            "Das Mädchen arbeitet nicht, weil es krank ist.",
            "La chica no está trabajando porque está enferma.",
            "女の子は病気なので、働いていません。",
            "A menina não está trabalhando porque está doente.",
            "Девочка не работает, потому что она больна.",
            "Kız hasta olduğu için çalışmıyor.",
        ],
    );
    check(
        &clause(the(Noun::Girl), Past, verb(Verb::Cry)).because(clause(
            Np::Same,
            Past,
            verb(Verb::Lose).what(the(Noun::Ball)),
        )),
        [
            "The girl cried because she lost the ball.",
            "Das Mädchen hat geweint, weil es den Ball verloren hat.",
            "La chica lloró porque perdió la pelota.",
            "女の子はボールをなくしたので、泣きました。",
            "A menina chorou porque perdeu a bola.",
            "Девочка плакала, потому что она потеряла мяч.",
            "Kız topu kaybettiği için ağladı.",
        ],
    );
    let coat = Predicate::Has(a(Noun::Coat).is(Adjective::Green));
    check(
        &clause(I, Present, Adjective::Happy).because(clause(Np::Same, Present, coat)),
        [
            "I am happy because I have a green coat.",
            "Ich bin glücklich, weil ich einen grünen Mantel habe.",
            "Estoy feliz porque tengo un abrigo verde.",
            "私は緑のコートを持っているので、幸せです。",
            "Estou feliz porque tenho um casaco verde.",
            "Я счастлив, потому что у меня есть зелёное пальто.",
            "Yeşil bir paltom olduğu için mutluyum.",
        ],
    );
}

#[test]
fn times_as_clauses() {
    // German tells one past event ("als") from a habit ("wenn").
    let return_ = clause(Np::Name(Name::Tom), Past, verb(Verb::Return));
    check(
        &clause(my(Noun::Mother), Past, Adjective::Happy).when(return_),
        [
            "My mother was happy when Tom returned.",
            "Meine Mutter war glücklich, als Tom zurückgekehrt ist.",
            "Mi madre estaba feliz cuando Tom volvió.",
            "トムが戻ったとき、私の母は幸せでした。",
            "Minha mãe estava feliz quando Tom voltou.",
            "Моя мать была счастлива, когда Том вернулся.",
            "Tom döndüğünde annem mutluydu.",
        ],
    );
    let listen = verb(Verb::ListenTo).what(some(Noun::Music));
    check(
        &clause(Np::Name(Name::Anna), Habit, listen).when(clause(
            Np::Same,
            Habit,
            verb(Verb::Work),
        )),
        [
            "Anna listens to music when she works.",
            "Anna hört Musik, wenn sie arbeitet.",
            "Anna escucha música cuando trabaja.",
            "アンナは働くとき、音楽を聞きます。",
            "Anna escuta música quando trabalha.",
            "Анна слушает музыку, когда она работает.",
            "Anna çalıştığında müzik dinliyor.",
        ],
    );
    let come = clause(the(Noun::Teacher), Past, verb(Verb::Come).into(the(Noun::School)));
    check(
        &clause(Np::Name(Name::Max), Past, verb(Verb::Open).what(the(Noun::Door))).when(come),
        [
            "Max opened the door when the teacher came to the school.",
            "Max hat die Tür geöffnet, als der Lehrer zur Schule gekommen ist.",
            "Max abrió la puerta cuando el profesor vino a la escuela.",
            "先生が学校に来たとき、マックスはドアを開けました。",
            "Max abriu a porta quando o professor veio à escola.",
            "Макс открыл дверь, когда учитель пришёл в школу.",
            "Öğretmen okula geldiğinde Max kapıyı açtı.",
        ],
    );
}

#[test]
fn owning() {
    check(
        &clause(YOU, Present, Predicate::Has(a(Noun::Dog))).asked(),
        [
            "Do you have a dog?",
            "Hast du einen Hund?",
            "¿Tienes un perro?",
            "あなたは犬を飼っていますか。",
            "Você tem um cachorro?",
            "У тебя есть собака?",
            "Bir köpeğin var mı?",
        ],
    );
    check(
        &clause(the(Noun::Doctor), Present, Predicate::Has(a(Noun::Car))).not().stated(),
        [
            "The doctor does not have a car.",
            "Der Arzt hat kein Auto.",
            "El médico no tiene coche.",
            "医者は車を持っていません。",
            "O médico não tem carro.",
            "У врача нет машины.",
            "Doktorun arabası yok.",
        ],
    );
    let horses = Predicate::Has(count(Two, Noun::Horse).is(Adjective::White));
    check(
        &clause(Np::Name(Name::Martin), Past, horses).stated(),
        [
            "Martin had two white horses.",
            "Martin hatte zwei weiße Pferde.",
            "Martín tenía dos caballos blancos.",
            "マーティンは二頭の白い馬を飼っていました。",
            "Martin tinha dois cavalos brancos.",
            "У Мартина было две белые лошади.",
            "Martin'in iki beyaz atı vardı.",
        ],
    );
    check(
        &clause(count(Three, Noun::Boy), Past, Predicate::Has(a(Noun::Ball))).stated(),
        [
            "Three boys had a ball.",
            "Drei Jungen hatten einen Ball.",
            "Tres chicos tenían una pelota.",
            "三人の男の子はボールを持っていました。",
            "Três meninos tinham uma bola.",
            "У трёх мальчиков был мяч.",
            "Üç oğlanın bir topu vardı.",
        ],
    );
}

#[test]
fn where_things_are() {
    let table = the(Noun::Table).is(Adjective::Old);
    check(
        &clause(the(Noun::Key), Present, Predicate::Located(Relation::Under, table)).stated(),
        [
            "The key is under the old table.",
            "Der Schlüssel ist unter dem alten Tisch.",
            "La llave está debajo de la mesa vieja.",
            "鍵は古いテーブルの下にあります。",
            "A chave está debaixo da mesa velha.",
            "Ключ под старым столом.",
            "Anahtar eski masanın altında.",
        ],
    );
    let horse = the(Noun::Horse).is(Adjective::White);
    check(
        &clause(horse, Past, Predicate::Whereabouts).asked(),
        [
            "Where was the white horse?",
            "Wo war das weiße Pferd?",
            "¿Dónde estaba el caballo blanco?",
            "白い馬はどこにいましたか。",
            "Onde estava o cavalo branco?",
            "Где была белая лошадь?",
            "Beyaz at neredeydi?",
        ],
    );
    let garden = the(Noun::Garden).is(Adjective::Big);
    check(
        &clause(the(Noun::Cat), Past, Predicate::Located(Relation::In, garden)).stated(),
        [
            "The cat was in the big garden.",
            "Die Katze war im großen Garten.",
            "El gato estaba en el jardín grande.",
            "猫は大きい庭にいました。",
            "O gato estava no jardim grande.",
            "Кошка была в большом саду.",
            "Kedi büyük bahçedeydi.",
        ],
    );
    let village = the(Noun::Village).is(Adjective::Quiet);
    check(
        &clause(count(Two, Noun::Man), Present, verb(Verb::Live).at(village)).stated(),
        [
            "Two men live in the quiet village.",
            "Zwei Männer wohnen im ruhigen Dorf.",
            "Dos hombres viven en el pueblo tranquilo.",
            "二人の男の人は静かな村に住んでいます。",
            "Dois homens moram na aldeia tranquila.",
            "Два мужчины живут в тихой деревне.",
            "İki adam sakin köyde yaşıyor.",
        ],
    );
}
