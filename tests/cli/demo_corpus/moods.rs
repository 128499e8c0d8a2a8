//! More sentences written by hand: questions, habits, plans, abilities, denials.

use super::generator::meaning::Modal::{Can, Want};
use super::generator::meaning::Quantity::{Five, Many, Two};
use super::generator::meaning::Tense::{Future, Habit, Past, Present};
use super::generator::meaning::{Act, Np, Predicate};
use super::generator::vocabulary::{Adjective, Name, Noun, Time, Verb};
use super::say::{HE, I, SHE, THEY, WE, YOU, check, clause, count, my, some, the, this, verb};

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
