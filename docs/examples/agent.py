#!/usr/bin/env python3
# A metric agent: announces one instance and reports its load every second.
#   apt install python3-zmq python3-protobuf protobuf-compiler
#   protoc --proto_path=schema/wire --python_out=. dyncast.proto     (in the repository)
#   PYTHONPATH=. docs/examples/agent.py tcp://10.255.0.1:5570
import os, signal, sys, time
import zmq
import dyncast_pb2 as pb

AGENT, INSTANCE, SERVICE, BID = "edge3", "web-3a", "web", "10.3.0.1"
out = zmq.Context().socket(zmq.PUB)
out.linger = 500                    # ms that a message may still take when we stop
out.connect(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5570")
epoch, sequence = time.time_ns() // 1000, 0

def send(kind, **fields):           # one message: the topic, then the envelope
    global sequence
    sequence += 1
    envelope = pb.Envelope(agent=AGENT, boot_epoch=epoch, sequence=sequence,
                           sent_at_us=time.time_ns() // 1000, **{kind: fields})
    out.send_multipart([f"{kind}/{AGENT}".encode(), envelope.SerializeToString()])

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
try:
    while True:
        send("announce", instance=INSTANCE, service=SERVICE, bid=BID, health=pb.HEALTH_UP,
             capacity=dict(cpu_cores=os.cpu_count()))
        send("report", instance=INSTANCE, metrics=[
            dict(name="load1", value=os.getloadavg()[0], unit="1"),
            dict(name="cpu_utilization", value=min(os.getloadavg()[0] / os.cpu_count(), 1), unit="ratio")])
        send("heartbeat", interval_ms=1000)
        time.sleep(1)
finally:
    for _ in range(3):              # a message may be lost
        send("withdraw", instance=INSTANCE, reason="stopped")
        time.sleep(0.1)
