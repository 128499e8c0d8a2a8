//! Sentences written by hand, one per rule or two, before the program said them.

use super::generator::languages::{ENGLISH, PARTNERS};
use super::generator::meaning::Modal::{Can, Want};
use super::generator::meaning::Quantity::{Five, Many, Three, Two};
use super::generator::meaning::Tense::{Future, Habit, Past, Present};
use super::generator::meaning::{Act, Np, Predicate, Relation, Sentence};
use super::generator::vocabulary::{Adjective, Name, Noun, Time, Verb};
use super::say::{HE, I, SHE, THEY, WE, YOU, a, clause, count, my, some, the, this, verb};

/// `expected`: English, then the partners in the order of their codes.
fn check(sentence: &Sentence, expected: [&str; 7]) {
    let languages = std::iter::once(&ENGLISH).chain(PARTNERS);
    for (language, expected) in languages.zip(expected) {
        assert_eq!((language.linearize)(sentence), expected, "{}", language.code);
    }
}

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

#[test]
fn questions() {
    check(
        &clause(Np::Who, Past, verb(Verb::Open).what(the(Noun::Window).plural())).asked(),
        [
            "Who opened the windows?",
            "Wer hat die Fenster geöffnet?",
            "¿Quién abrió las ventanas?",
            "誰が窓を開けましたか。",
            "Quem abriu as janelas?",
            "Кто открыл окна?",
            "Kim pencereleri açtı?",
        ],
    );
    check(
        &clause(the(Noun::Boy), Present, verb(Verb::SearchFor).what(Np::What)).asked(),
        [
            "What is the boy looking for?",
            "Was sucht der Junge?",
            "¿Qué está buscando el chico?",
            "男の子は何を探していますか。",
            "O que o menino está procurando?",
            "Что мальчик ищет?",
            "Oğlan ne arıyor?",
        ],
    );
    check(
        &clause(YOU, Present, Adjective::Tired).asked(),
        [
            "Are you tired?",
            "Bist du müde?",
            "¿Estás cansado?",
            "あなたは疲れていますか。",
            "Você está cansado?",
            "Ты устал?",
            "Yorgun musun?",
        ],
    );
    check(
        &clause(YOU, Past, verb(Verb::Understand).what(the(Noun::Question))).asked(),
        [
            "Did you understand the question?",
            "Hast du die Frage verstanden?",
            "¿Entendiste la pregunta?",
            "あなたは質問を理解しましたか。",
            "Você entendeu a pergunta?",
            "Ты понял вопрос?",
            "Soruyu anladın mı?",
        ],
    );
}

#[test]
fn habits_and_plans() {
    check(
        &clause(SHE, Habit, verb(Verb::Go).into(the(Noun::Library))).on(Time::Often).stated(),
        [
            "She often goes to the library.",
            "Sie geht oft in die Bibliothek.",
            "Ella va a la biblioteca a menudo.",
            "彼女はよく図書館に行きます。",
            "Ela vai à biblioteca com frequência.",
            "Она часто ходит в библиотеку.",
            "O sık sık kütüphaneye gidiyor.",
        ],
    );
    check(
        &clause(my(Noun::Brother), Habit, verb(Verb::Help).what(the(Noun::Neighbor)))
            .on(Time::EveryDay)
            .stated(),
        [
            "My brother helps the neighbor every day.",
            "Mein Bruder hilft jeden Tag dem Nachbarn.",
            "Mi hermano ayuda al vecino todos los días.",
            "私の兄は毎日、隣人を手伝います。",
            "Meu irmão ajuda o vizinho todos os dias.",
            "Мой брат каждый день помогает соседу.",
            "Erkek kardeşim her gün komşuya yardım ediyor.",
        ],
    );
    check(
        &clause(I, Future, verb(Verb::Visit).what(my(Noun::Grandmother)))
            .on(Time::Tomorrow)
            .stated(),
        [
            "I will visit my grandmother tomorrow.",
            "Ich werde morgen meine Großmutter besuchen.",
            "Visitaré a mi abuela mañana.",
            "私は明日、私の祖母を訪ねます。",
            "Visitarei minha avó amanhã.",
            "Я завтра навещу свою бабушку.",
            "Yarın büyükannemi ziyaret edeceğim.",
        ],
    );
}

#[test]
fn ability_and_will() {
    let repair = Act { modal: Some(Can), ..verb(Verb::Repair).what(this(Noun::Computer)) };
    check(
        &clause(WE, Present, repair).not().stated(),
        [
            "We cannot repair this computer.",
            "Wir können diesen Computer nicht reparieren.",
            "No podemos reparar este ordenador.",
            "私たちはこのパソコンを修理することができません。",
            "Não podemos consertar este computador.",
            "Мы не можем починить этот компьютер.",
            "Bu bilgisayarı tamir edemeyiz.",
        ],
    );
    let books = count(Five, Noun::Book).is(Adjective::Old);
    let buy = Act { modal: Some(Want), ..verb(Verb::Buy).what(books) };
    check(
        &clause(THEY, Present, buy).stated(),
        [
            "They want to buy five old books.",
            "Sie wollen fünf alte Bücher kaufen.",
            "Ellos quieren comprar cinco libros viejos.",
            "彼らは五冊の古い本を買いたがっています。",
            "Eles querem comprar cinco livros velhos.",
            "Они хотят купить пять старых книг.",
            "Onlar beş eski kitap satın almak istiyorlar.",
        ],
    );
    let drink = verb(Verb::Drink).what(some(Noun::Coffee).is(Adjective::Hot));
    check(
        &clause(I, Present, Act { modal: Some(Want), ..drink }).stated(),
        [
            "I want to drink hot coffee.",
            "Ich will heißen Kaffee trinken.",
            "Quiero beber café caliente.",
            "私は熱いコーヒーを飲みたいです。",
            "Quero beber café quente.",
            "Я хочу выпить горячий кофе.",
            "Sıcak kahve içmek istiyorum.",
        ],
    );
}

#[test]
fn properties() {
    check(
        &clause(the(Noun::Soup), Past, Adjective::Hot).not().stated(),
        [
            "The soup was not hot.",
            "Die Suppe war nicht heiß.",
            "La sopa no estaba caliente.",
            "スープは熱くなかったです。",
            "A sopa não estava quente.",
            "Суп не был горячим.",
            "Çorba sıcak değildi.",
        ],
    );
    check(
        &clause(this(Noun::Flower).plural(), Present, Adjective::Expensive).stated(),
        [
            "These flowers are expensive.",
            "Diese Blumen sind teuer.",
            "Estas flores son caras.",
            "これらの花は高いです。",
            "Estas flores são caras.",
            "Эти цветы дорогие.",
            "Bu çiçekler pahalı.",
        ],
    );
    check(
        &clause(SHE, Past, Adjective::Hungry).on(Time::Yesterday).stated(),
        [
            "She was hungry yesterday.",
            "Sie war gestern hungrig.",
            "Ella tenía hambre ayer.",
            "彼女は昨日、お腹が空いていました。",
            "Ela estava com fome ontem.",
            "Она вчера была голодна.",
            "O dün açtı.",
        ],
    );
}

#[test]
fn objects_and_company() {
    let doctor = the(Noun::Doctor).is(Adjective::Young);
    check(
        &clause(Np::Name(Name::Maria), Past, verb(Verb::Call).what(doctor)).stated(),
        [
            "Maria called the young doctor.",
            "Maria hat den jungen Arzt angerufen.",
            "María llamó al médico joven.",
            "マリアは若い医者に電話しました。",
            "Maria ligou para o médico jovem.",
            "Мария позвонила молодому врачу.",
            "Maria genç doktora telefon etti.",
        ],
    );
    let dance = verb(Verb::Dance).with(the(Noun::Student).plural()).at(the(Noun::Park));
    check(
        &clause(Np::Name(Name::Lena), Past, dance).stated(),
        [
            "Lena danced with the students in the park.",
            "Lena hat mit den Studenten im Park getanzt.",
            "Lena bailó con los estudiantes en el parque.",
            "レナは学生たちと公園で踊りました。",
            "Lena dançou com os estudantes no parque.",
            "Лена танцевала со студентами в парке.",
            "Lena öğrencilerle parkta dans etti.",
        ],
    );
    let dog = the(Noun::Dog).is(Adjective::Small);
    check(
        &clause(the(Noun::Child), Present, verb(Verb::Love).what(dog)).stated(),
        [
            "The child loves the small dog.",
            "Das Kind liebt den kleinen Hund.",
            "El niño ama al perro pequeño.",
            "子供は小さい犬を愛しています。",
            "A criança ama o cachorro pequeno.",
            "Ребёнок любит маленькую собаку.",
            "Çocuk küçük köpeği seviyor.",
        ],
    );
    check(
        &clause(count(Many, Noun::Student), Past, verb(Verb::See).what(count(Two, Noun::Dog)))
            .stated(),
        [
            "Many students saw two dogs.",
            "Viele Studenten haben zwei Hunde gesehen.",
            "Muchos estudiantes vieron dos perros.",
            "大勢の学生は二匹の犬を見ました。",
            "Muitos estudantes viram dois cachorros.",
            "Многие студенты увидели двух собак.",
            "Birçok öğrenci iki köpek gördü.",
        ],
    );
    let teacher = the(Noun::Teacher).is(Adjective::Famous);
    check(
        &clause(Np::Name(Name::Tom), Past, verb(Verb::Know).what(teacher)).stated(),
        [
            "Tom knew the famous teacher.",
            "Tom hat den berühmten Lehrer gekannt.",
            "Tom conocía al profesor famoso.",
            "トムは有名な先生を知っていました。",
            "Tom conhecia o professor famoso.",
            "Том знал известного учителя.",
            "Tom ünlü öğretmeni tanıyordu.",
        ],
    );
}

#[test]
fn negated_objects() {
    check(
        &clause(HE, Present, verb(Verb::Drink).what(the(Noun::Water))).not().stated(),
        [
            "He is not drinking the water.",
            "Er trinkt das Wasser nicht.",
            "Él no está bebiendo el agua.",
            "彼は水を飲んでいません。",
            "Ele não está bebendo a água.",
            "Он не пьёт воду.",
            "O suyu içmiyor.",
        ],
    );
    check(
        &clause(my(Noun::Sister), Present, verb(Verb::Drink).what(some(Noun::Milk))).not().stated(),
        [
            "My sister is not drinking milk.",
            "Meine Schwester trinkt keine Milch.",
            "Mi hermana no está bebiendo leche.",
            "私の姉は牛乳を飲んでいません。",
            "Minha irmã não está bebendo leite.",
            "Моя сестра не пьёт молоко.",
            "Kız kardeşim süt içmiyor.",
        ],
    );
}

#[test]
fn russian_own_and_known() {
    // "Свой" also where "I" is said by the main clause alone; a pronoun before "be".
    let busy = clause(I, Present, Adjective::Busy).because(clause(
        Np::Same,
        Present,
        verb(Verb::Clean).what(my(Noun::Room)),
    ));
    check(
        &busy,
        [
            "I am busy because I am cleaning my room.",
            "Ich bin beschäftigt, weil ich mein Zimmer putze.",
            "Estoy ocupado porque estoy limpiando mi habitación.",
            "私は私の部屋を掃除しているので、忙しいです。",
            "Estou ocupado porque estou limpando meu quarto.",
            "Я занят, потому что я убираю свою комнату.",
            "Odamı temizlediğim için yoğunum.",
        ],
    );
    check(
        &clause(YOU, Past, Predicate::Whereabouts).asked(),
        [
            "Where were you?",
            "Wo warst du?",
            "¿Dónde estabas?",
            "あなたはどこにいましたか。",
            "Onde você estava?",
            "Где ты был?",
            "Neredeydin?",
        ],
    );
}
