//! Lines with several devices, over TCP, serial frames over TCP, and a pseudo-terminal: what is learned of
//! devices, what a dead one costs the others, and that no answer is ever taken for another's.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use tallyman::config::{
    BackoffConfig, ModbusConfig, ModbusReach, ModbusTransport, ModbusUnitConfig, Parity, PointConfig,
    RegisterType, SerialLine,
};
use tallyman::decode::modbus::PointDecoder;
use tallyman::domain::frames::{ModbusAnswer, ModbusFailure, ModbusTable, Payload};
use tallyman::domain::ids::{DeviceId, SourceId};
use tallyman::domain::readings::{Quality, Reading};
use tallyman::domain::time::Timestamp;
use tallyman::source::{Intake, modbus};
use tallyman_simulators::modbus::Table;
use tallyman_simulators::modbus::bank::{Bank, Delivery, Slave, telling};
use tokio::time::timeout;

use crate::servers::PATIENCE;
use crate::source::Source;

pub const TIMEOUT: Duration = Duration::from_millis(60);

pub fn points(addresses: &[u16]) -> Vec<PointConfig> {
    let point = |address: &u16| {
        PointConfig::new(&format!("p{address}"), ModbusTable::Holding, *address, RegisterType::U16)
    };
    addresses.iter().map(point).collect()
}

pub fn unit(number: u8, points: Vec<PointConfig>) -> ModbusUnitConfig {
    ModbusUnitConfig {
        device: DeviceId::new(format!("unit-{number}")),
        unit: number,
        poll: Duration::from_millis(15),
        reach: ModbusReach::default(),
        points,
    }
}

pub fn line(transport: ModbusTransport, units: Vec<ModbusUnitConfig>) -> ModbusConfig {
    ModbusConfig {
        name: SourceId::new("line"),
        pause: if transport.is_rtu() { Duration::from_millis(3) } else { Duration::ZERO },
        transport,
        timeout: TIMEOUT,
        pause_after_connect: Duration::ZERO,
        backoff: BackoffConfig { first: Duration::from_millis(5), last: Duration::from_millis(20) },
        units,
    }
}

pub fn over_tcp(bank: &Bank) -> ModbusTransport {
    ModbusTransport::Tcp { address: bank.address().unwrap().to_string(), tls: None }
}

pub fn on_port(path: &Path) -> ModbusTransport {
    let (baud, parity) = (115_200, Parity::None);
    ModbusTransport::Rtu(SerialLine::Port {
        path: path.to_owned(),
        baud,
        data_bits: 8,
        stop_bits: 1,
        parity,
        rs485: None,
    })
}

pub struct Daemon(pub Source);

impl Daemon {
    pub fn start(config: ModbusConfig) -> Self {
        Self(Source::start(10_000, |intake, shutdown| modbus::run(config, intake, shutdown)))
    }

    pub async fn answer(&mut self) -> ModbusAnswer {
        loop {
            if let Intake::Frame(frame) = self.0.next().await {
                let Payload::Modbus(answer) = frame.payload else { panic!("{frame:?}") };
                return answer;
            }
        }
    }

    /// Answers until one is as wanted, that one the last.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&ModbusAnswer) -> bool) -> Vec<ModbusAnswer> {
        let mut answers = Vec::new();
        let found = timeout(PATIENCE, async {
            loop {
                let answer = self.answer().await;
                let done = wanted(&answer);
                answers.push(answer);
                if done {
                    return;
                }
            }
        });
        assert!(found.await.is_ok(), "{what}: {:?}", answers.last());
        answers
    }

    /// Until everything that the bank was told to do to its answers is done: whatever is given as a value is one.
    pub async fn outlasts_faults(&mut self, bank: &Bank, what: &str) {
        while bank.undelivered() > 0 {
            let answer = self.answer().await;
            assert!(answer.registers.is_err() || is_true(&answer), "{what}: {answer:?}");
        }
    }

    /// Until it is heard again as wanted, whatever is still under way: of that nothing is given as a value either.
    pub async fn hears_again(&mut self, what: &str, wanted: impl Fn(&ModbusAnswer) -> bool) {
        let answers = self.until(what, |answer| wanted(answer) && is_true(answer)).await;
        let wrong = answers.iter().find(|answer| answer.registers.is_ok() && !is_true(answer));
        assert_eq!(wrong, None, "{what}");
    }
}

pub fn is_from(answer: &ModbusAnswer, unit: u8) -> bool {
    answer.device.as_str() == format!("unit-{unit}")
}

/// Whether the registers are those that the slave has there.
pub fn is_true(answer: &ModbusAnswer) -> bool {
    let unit: u16 = answer.device.as_str().trim_start_matches("unit-").parse().unwrap();
    let truth: Vec<u16> =
        (answer.address..answer.address + answer.count).map(|at| unit * 1000 + at).collect();
    answer.registers.as_ref().is_ok_and(|registers| *registers == truth)
}

pub fn slaves(units: &[u8]) -> BTreeMap<u8, Slave> {
    units.iter().map(|unit| (*unit, telling(*unit, Table::Holding, 0..100))).collect()
}

#[tokio::test]
async fn devices_of_one_line_share_a_connection() {
    let bank = Bank::tcp(slaves(&[1, 7]), false).await.unwrap();
    let mut daemon =
        Daemon::start(line(over_tcp(&bank), vec![unit(1, points(&[0, 3])), unit(7, points(&[50]))]));
    for number in [1, 7] {
        let answers = daemon.until("an answer", |answer| is_from(answer, number)).await;
        assert!(answers.iter().all(is_true), "{answers:?}");
    }
    daemon.until("another", |answer| is_from(answer, 1) && answer.count == 4).await;
    assert_eq!(bank.connections(), 1);
    daemon.0.stop().await;
    bank.stop().await;
}

const POLL: Duration = Duration::from_millis(40);

/// Two of three devices answer. The dead one is tried now and then; the others miss nothing of it but what fell due
/// while it was tried, and keep their beat.
async fn a_dead_device(bank: Bank, transport: ModbusTransport) {
    bank.change(2, |slave| slave.dead = true);
    let polled = |number| ModbusUnitConfig { poll: POLL, ..unit(number, points(&[10, 40])) };
    let mut config = line(transport, (1..=3).map(polled).collect());
    config.backoff = BackoffConfig { first: Duration::from_millis(400), last: Duration::from_secs(2) };
    let mut daemon = Daemon::start(config);
    let mut counts = BTreeMap::<String, [usize; 2]>::new();
    // Until one that answers has done so a hundred times, twice a poll.
    while counts.get("unit-3").is_none_or(|[good, _]| *good < 100) {
        let answer = daemon.answer().await;
        let told = counts.entry(answer.device.to_string()).or_default();
        match is_true(&answer) {
            true => told[0] += 1,
            false => told[1] += 1,
        }
    }
    let asked = bank.take_asked();
    let tried = asked.iter().filter(|asked| asked.unit == 2).count();
    let [good, bad] = counts["unit-2"];
    assert_eq!(good, 0);
    assert!(bad >= 30, "bad quality at every poll, asked or not: {counts:?}");
    assert!(tried * 5 < bad, "asked {tried} times for {bad} failures");
    for (number, alive) in [(1, "unit-1"), (3, "unit-3")] {
        assert_eq!(counts[alive][1], 0, "{counts:?}");
        let polls: Vec<Instant> = asked
            .iter()
            .filter(|asked| (asked.unit, asked.address) == (number, 10))
            .map(|asked| asked.at)
            .collect();
        keeps_its_beat(&polls, tried);
    }
    // And it comes back.
    bank.change(2, |slave| slave.dead = false);
    daemon.until("the one that was dead", |answer| is_from(answer, 2) && is_true(answer)).await;
    daemon.0.stop().await;
    bank.stop().await;
}

/// As many polls as fell due, but for those of the timeouts of another; and on the same beat before and after them.
fn keeps_its_beat(polls: &[Instant], tries: usize) {
    let (first, last) = (polls[0], polls[polls.len() - 1]);
    let due = (last - first).div_duration_f64(POLL);
    let missed = due - (polls.len() - 1) as f64;
    let timeouts = tries as f64 * (TIMEOUT.div_duration_f64(POLL) + 1.0);
    assert!(missed <= timeouts + due * 0.1, "{missed} of {due} polls missed, {tries} tries");
    // Whichever of them was on time has most of the others on its beat.
    let on_the_beat_of = |of: &Instant| {
        let off = |poll: &&Instant| {
            let beats = poll.max(&of).duration_since(*of.min(poll)).div_duration_f64(POLL);
            (beats - beats.round()).abs()
        };
        polls.iter().filter(|poll| off(poll) < 0.25).count()
    };
    let most = polls.iter().map(on_the_beat_of).max().unwrap();
    assert!(most * 10 >= polls.len() * 7, "{most} of {} polls on the beat", polls.len());
}

#[tokio::test]
async fn a_dead_device_behind_a_silent_gateway() {
    let bank = Bank::tcp(slaves(&[1, 2, 3]), false).await.unwrap();
    let transport = over_tcp(&bank);
    a_dead_device(bank, transport).await;
}

#[tokio::test]
async fn a_dead_device_behind_a_gateway_that_says_so() {
    let bank = Bank::tcp(slaves(&[1, 2, 3]), true).await.unwrap();
    let transport = over_tcp(&bank);
    a_dead_device(bank, transport).await;
}

#[tokio::test]
async fn a_dead_device_on_a_serial_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line");
    let bank = Bank::terminal(slaves(&[1, 2, 3]), &path).unwrap();
    a_dead_device(bank, on_port(&path)).await;
}

/// The requests of whole polls, once nothing new is learned.
async fn settled(daemon: &mut Daemon, bank: &Bank, expected: &[(u16, u16)]) {
    let last = *expected.last().unwrap();
    let is_last = |answer: &ModbusAnswer| (answer.address, answer.count) == last && answer.registers.is_ok();
    daemon.until("a poll as learned", is_last).await;
    bank.take_asked();
    for _ in 0..3 {
        daemon.until("another poll", is_last).await;
    }
    let asked: Vec<(u16, u16)> = bank.take_asked().iter().map(|asked| (asked.address, asked.count)).collect();
    assert!(asked.len() >= expected.len() * 2, "{asked:?}");
    // What is refused by itself is asked for by itself, less and less often.
    let others: Vec<_> = asked.iter().filter(|asked| !expected.contains(asked)).collect();
    assert!(others.iter().all(|(_, count)| *count == 1), "{asked:?} instead of {expected:?}");
    assert!(others.len() <= 2, "{asked:?}");
}

#[tokio::test]
async fn what_a_device_refuses_is_learned_and_not_asked_for_again() {
    // 4 and 5 are not there, and nobody wants them; 9 is wanted and not there.
    let here = [0, 1, 2, 3, 6, 7, 8, 10, 11];
    let bank = Bank::tcp(BTreeMap::from([(1, telling(1, Table::Holding, here))]), false).await.unwrap();
    let wanted = points(&[0, 2, 3, 6, 8, 9, 10, 11]);
    let mut daemon = Daemon::start(line(over_tcp(&bank), vec![unit(1, wanted)]));
    settled(&mut daemon, &bank, &[(0, 4), (6, 3), (10, 2)]).await;
    let missing = daemon.until("the missing one", |answer| answer.address == 9).await.pop().unwrap();
    assert_eq!((missing.count, missing.registers), (1, Err(ModbusFailure::Exception(2))));
    daemon.0.stop().await;
    bank.stop().await;
}

/// A value that is not there whole, and a bit in the half of it that is: each has one sample a poll, and its own.
#[tokio::test]
async fn what_is_refused_says_nothing_of_what_shares_its_registers() {
    let bank = Bank::tcp(BTreeMap::from([(1, telling(1, Table::Holding, [0, 1, 5]))]), false).await.unwrap();
    let mut wanted = points(&[0, 1]);
    wanted.push(PointConfig::new("wide", ModbusTable::Holding, 4, RegisterType::U32));
    wanted.push(PointConfig::new("bit", ModbusTable::Holding, 5, RegisterType::Bit(0)));
    let config = line(over_tcp(&bank), vec![unit(1, wanted.clone())]);
    let decoder = PointDecoder::new(&wanted, config.units[0].poll);
    let mut daemon = Daemon::start(config);
    let mut polls = Vec::new();
    while polls.len() < 6 {
        let mut poll = Vec::new();
        // By address: the last of a poll is the bit, or what holds it.
        while poll.iter().filter(|(point, _)| point == "bit").count() == 0 {
            let mut readings = Vec::new();
            decoder.decode(&daemon.answer().await, Timestamp::FIRST, &mut readings);
            poll.extend(readings.into_iter().map(|reading| match reading {
                Reading::Sample(sample) => (sample.point.to_string(), sample.quality),
                other => panic!("{other:?}"),
            }));
        }
        poll.sort_by(|a, b| a.0.cmp(&b.0));
        polls.push(poll);
    }
    let expected = [
        ("bit", Quality::Good),
        ("p0", Quality::Good),
        ("p1", Quality::Good),
        ("wide", Quality::ConfigurationError),
    ]
    .map(|(point, quality)| (point.to_owned(), quality));
    for poll in &polls {
        assert_eq!(poll[..], expected, "{polls:?}");
    }
    daemon.0.stop().await;
    bank.stop().await;
}

#[tokio::test]
async fn so_is_what_is_too_much_at_once() {
    let few = Slave { max_registers: Some(5), ..telling(1, Table::Holding, 0..8) };
    let bank = Bank::tcp(BTreeMap::from([(1, few)]), false).await.unwrap();
    let mut daemon = Daemon::start(line(over_tcp(&bank), vec![unit(1, points(&[0, 1, 2, 3, 4, 5, 6, 7]))]));
    let answers = daemon.until("the second half", |answer| answer.address == 4).await;
    assert!(answers.iter().all(is_true), "{answers:?}");
    bank.take_asked();
    for _ in 0..6 {
        let answer = daemon.answer().await;
        assert!(is_true(&answer) && answer.count <= 5, "{answer:?}");
    }
    assert!(bank.take_asked().iter().all(|asked| asked.count <= 5));
    daemon.0.stop().await;
    bank.stop().await;
}

#[tokio::test]
async fn a_busy_device_is_asked_again_and_any_other_refusal_stands() {
    let bank = Bank::tcp(slaves(&[1]), false).await.unwrap();
    bank.deliver(&[Delivery::Exception(6), Delivery::Exception(6)]);
    let mut daemon = Daemon::start(line(over_tcp(&bank), vec![unit(1, points(&[0]))]));
    assert!(is_true(&daemon.answer().await));
    assert_eq!(bank.take_asked().len(), 3);
    for code in [1, 3, 4, 5, 8] {
        bank.deliver(&[Delivery::Exception(code)]);
        let refused = daemon.until("the refusal", |answer| answer.registers.is_err()).await.pop().unwrap();
        assert_eq!(refused.registers, Err(ModbusFailure::Exception(code)));
    }
    daemon.0.stop().await;
    bank.stop().await;
}

/// Everything that can become of an answer. The requests of a device are all of one length, so that nothing but
/// the order tells their answers apart where there are no transactions.
async fn nothing_is_taken_for_anything_else(bank: Bank, transport: ModbusTransport) {
    let blocks = points(&[0, 20, 40, 60]);
    let mut daemon = Daemon::start(line(transport, vec![unit(1, blocks.clone()), unit(2, blocks)]));
    for delivery in [
        Delivery::Lost,
        Delivery::Late(TIMEOUT + TIMEOUT / 2),
        Delivery::Late(TIMEOUT * 3),
        Delivery::WithTheNext,
        Delivery::Swapped,
        Delivery::Twice,
        Delivery::Truncated,
        Delivery::Foreign,
        Delivery::BehindAnothers,
        Delivery::Spoilt,
        Delivery::ByteByByte,
    ] {
        for times in 1..=3 {
            let before = [Delivery::Right; 3];
            bank.deliver(&before[..times]);
            bank.deliver(&vec![delivery; times]);
            let what = format!("{delivery:?} {times}");
            daemon.outlasts_faults(&bank, &what).await;
            for number in [1, 2] {
                daemon.hears_again(&what, |answer| is_from(answer, number)).await;
            }
        }
    }
    daemon.0.stop().await;
    bank.stop().await;
}

#[tokio::test]
async fn no_answer_is_taken_for_another_over_tcp() {
    let bank = Bank::tcp(slaves(&[1, 2]), false).await.unwrap();
    let transport = over_tcp(&bank);
    nothing_is_taken_for_anything_else(bank, transport).await;
}

#[tokio::test]
async fn no_answer_is_taken_for_another_in_serial_frames_over_tcp() {
    let bank = Bank::rtu_over_tcp(slaves(&[1, 2])).await.unwrap();
    let transport = ModbusTransport::RtuOverTcp(bank.address().unwrap().to_string());
    nothing_is_taken_for_anything_else(bank, transport).await;
}

#[tokio::test]
async fn no_answer_is_taken_for_another_on_a_serial_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line");
    let bank = Bank::terminal(slaves(&[1, 2]), &path).unwrap();
    nothing_is_taken_for_anything_else(bank, on_port(&path)).await;
}

#[tokio::test]
async fn a_serial_adapter_that_is_pulled_out_and_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line");
    let bank = Bank::terminal(slaves(&[1]), &path).unwrap();
    let mut daemon = Daemon::start(line(on_port(&path), vec![unit(1, points(&[0]))]));
    daemon.until("the first", is_true).await;
    bank.stop().await;
    daemon.until("bad quality", |answer| answer.registers.is_err()).await;
    let bank = Bank::terminal(slaves(&[1]), &path).unwrap();
    daemon.until("it again", is_true).await;
    daemon.0.stop().await;
    bank.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_finds_what_is_there_and_shows_it() {
    let here = [0, 1, 2, 5, 6, 130];
    let bank = Bank::tcp(BTreeMap::from([(3, telling(3, Table::Holding, here))]), false).await.unwrap();
    let address = bank.address().unwrap().to_string();
    let probe = move |rest: &'static str| {
        let mut arguments = vec!["probe", "modbus", "--timeout", "200ms", address.as_str()];
        arguments.extend(rest.split(' '));
        crate::cli::tallyman(&arguments)
    };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tallyman.toml");
    let text = format!(
        "node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n[[modbus]]\nname = \"line\"\nsite = \"s\"\n\
         address = \"{}\"\n[[modbus.device]]\nname = \"boiler\"\nunit = 3\nbase = 0\n[[modbus.device.point]]\n\
         name = \"t\"\ntable = \"holding\"\naddress = 0\ntype = \"u16\"\n[[modbus.device.point]]\nname = \"far\"\n\
         table = \"holding\"\naddress = 3\ntype = \"u16\"\n",
        bank.address().unwrap()
    );
    std::fs::write(&config, text).unwrap();
    let file = config.to_str().unwrap().to_owned();
    let checked = {
        let file = file.clone();
        move || crate::cli::tallyman(&["check", "--connect", "--config", &file])
    };
    let of_config =
        move |name: &str| crate::cli::tallyman(&["probe", "modbus", "--config", &file, name, "--ranges"]);
    let said = tokio::task::spawn_blocking(move || {
        let found = (probe("--unit 3 --count 140"), probe("--unit 4"));
        (found.0, found.1, of_config("boiler"), of_config("kettle"), checked())
    });
    let (found, dead, by_name, unknown, checked) = said.await.unwrap();
    assert_eq!(checked.code, 1);
    let refused = "reads 3000 (registers [3000]), but it refuses far (zero-based address 3, exception 2)";
    assert!(checked.out.contains(refused), "{checked:?}");
    assert_eq!(by_name.succeeds(), "registers: 0-2, 5-6\n");
    unknown.fails_with(1, &["no Modbus device kettle", "boiler"]);
    let told = found.succeeds();
    assert!(told.starts_with("registers: 0-2, 5-6, 130\n"), "{told}");
    assert!(told.contains("130: 0x0c3a") && told.contains("abcd 3130"), "{told}");
    dead.fails_with(1, &["unit 4", "no answer in time"]);
    bank.stop().await;
}
