use super::*;

async fn ask(device: &Device, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(device.address()).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = vec![0; 64];
    let count = stream.read(&mut answer).await.unwrap();
    answer.truncate(count);
    answer
}

async fn device() -> Device {
    let room = ColdRoom::new(4.0, 20.0, 4.0, 3.0);
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Device::start(DeviceOptions { name: "cold-1".into(), unit: 1, room, listen }).await.unwrap()
}

#[tokio::test]
async fn registers_and_exceptions_over_tcp() {
    let device = device().await;
    let read = |first: u8, count: u8, function: u8| [0, 9, 0, 0, 0, 6, 1, function, 0, first, 0, count];
    assert_eq!(ask(&device, &read(0, 1, 3)).await, [0, 9, 0, 0, 0, 5, 1, 3, 2, 0, 40]);
    assert_eq!(ask(&device, &read(3, 1, 4)).await, [0, 9, 0, 0, 0, 5, 1, 4, 2, 0, 0]);
    assert_eq!(ask(&device, &read(3, 2, 4)).await, [0, 9, 0, 0, 0, 3, 1, 0x84, 2]);
    assert_eq!(ask(&device, &read(0, 126, 4)).await, [0, 9, 0, 0, 0, 3, 1, 0x84, 3]);
    assert_eq!(ask(&device, &read(0, 1, 6)).await, [0, 9, 0, 0, 0, 3, 1, 0x86, 1]);
    assert_eq!(device.registers_answered(), 2);
    device.stop().await;
}

#[tokio::test]
async fn faults_change_what_is_answered() {
    let device = device().await;
    let read = [0, 9, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1];
    device.faults().begin(Fault::Exception { code: 6 });
    assert_eq!(ask(&device, &read).await, [0, 9, 0, 0, 0, 3, 1, 0x83, 6]);
    device.faults().end(Fault::Exception { code: 6 });
    device.faults().begin(Fault::WrongTransaction);
    assert_eq!(ask(&device, &read).await[..2], [0x55, 0x5c]);
    device.faults().end(Fault::WrongTransaction);
    device.faults().begin(Fault::Truncated);
    assert_eq!(ask(&device, &read).await.len(), 5);
    device.stop().await;
}
