"""A cluster of brokers that speak Kafka's protocol over sockets, and a consumer: both librdkafka's, by the hand of others.

One command a line on standard input, one answer a line on standard output. The brokers are the mock cluster that librdkafka is
itself tested with, so that they can be told to fail. The wheel of confluent-kafka has the library; its Python names the consumer only.
"""

import ctypes
import glob
import json
import os
import sys
import time

import confluent_kafka

WHEEL = os.path.dirname(confluent_kafka.__file__)
LIBRARY = glob.glob(os.path.join(WHEEL + ".libs", "librdkafka*"))[0]
KAFKA = ctypes.CDLL(LIBRARY)
KAFKA.rd_kafka_conf_new.restype = ctypes.c_void_p
KAFKA.rd_kafka_new.restype = ctypes.c_void_p
KAFKA.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
KAFKA.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p


def start(brokers):
    text = ctypes.create_string_buffer(512)
    conf = ctypes.c_void_p(KAFKA.rd_kafka_conf_new())
    client = KAFKA.rd_kafka_new(0, conf, text, ctypes.c_size_t(512))
    assert client, text.value
    return ctypes.c_void_p(KAFKA.rd_kafka_mock_cluster_new(ctypes.c_void_p(client), brokers))


def consume(bootstraps, topic, count, more):
    """What is in the topic, partition by partition, until so many records came or nothing comes for a while."""
    known = {"bootstrap.servers": bootstraps, "group.id": "reader", "check.crcs": True, "enable.auto.commit": False}
    consumer = confluent_kafka.Consumer(known | more)
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    place = lambda number: confluent_kafka.TopicPartition(topic, number, confluent_kafka.OFFSET_BEGINNING)
    consumer.assign([place(number) for number in partitions])
    found, seen, deadline = [], set(), time.monotonic() + 20
    while len(seen) < count and time.monotonic() < deadline:
        for message in consumer.consume(500, timeout=0.2):
            if message.error():
                raise SystemExit(str(message.error()))
            headers = {name: value.decode() for name, value in message.headers() or []}
            seen.add(headers["seq"])
            found.append(
                {
                    "partition": message.partition(),
                    "offset": message.offset(),
                    "time": message.timestamp()[1],
                    "key": message.key().decode(),
                    "value": message.value().decode(),
                    "headers": headers,
                }
            )
    consumer.close()
    return found


def main():
    cluster = start(int(sys.argv[1]))
    bootstraps = KAFKA.rd_kafka_mock_cluster_bootstraps(cluster).decode()
    say = lambda answer: print(json.dumps(answer), flush=True)
    say(bootstraps)
    for line in sys.stdin:
        verb, *words = line.split()
        numbers = [int(word) for word in words if word.lstrip("-").isdigit()]
        error = 0
        if verb == "topic":
            error = KAFKA.rd_kafka_mock_topic_create(cluster, words[0].encode(), numbers[0], numbers[1])
        elif verb == "leader":
            error = KAFKA.rd_kafka_mock_partition_set_leader(cluster, words[0].encode(), numbers[0], numbers[1])
        elif verb == "down":
            error = KAFKA.rd_kafka_mock_broker_set_down(cluster, numbers[0])
        elif verb == "up":
            error = KAFKA.rd_kafka_mock_broker_set_up(cluster, numbers[0])
        elif verb == "slow":
            error = KAFKA.rd_kafka_mock_broker_set_rtt(cluster, numbers[0], numbers[1])
        elif verb == "errors":
            codes = (ctypes.c_int * len(numbers[1:]))(*numbers[1:])
            KAFKA.rd_kafka_mock_push_request_errors_array(
                cluster, ctypes.c_int16(numbers[0]), ctypes.c_size_t(len(codes)), codes
            )
        elif verb == "consume":
            more = dict(word.split("=", 1) for word in words[3:])
            say(consume(words[0], words[1], int(words[2]), more))
            continue
        say(error)


main()
