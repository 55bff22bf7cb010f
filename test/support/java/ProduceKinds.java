import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.compression.CompressionType;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Sends one message of every kind to its topic: ProduceKinds NAMESERVER TOPIC-PREFIX KIND...; the topic is the prefix and the kind.
 * Kinds: lz4 zlib zstd batch transaction delayed timed inner. Prints the ids: {"kind":..,"ids":[..]}.
 */
public class ProduceKinds {
    public static void main(String[] args) throws Exception {
        // The client's threads would keep a failed program alive.
        Thread.setDefaultUncaughtExceptionHandler((thread, error) -> {
            error.printStackTrace();
            System.exit(1);
        });
        for (int i = 2; i < args.length; i++) {
            String kind = args[i];
            DefaultMQProducer producer = kind.equals("transaction") ? transactional() : new DefaultMQProducer("kinds-" + kind);
            producer.setNamesrvAddr(args[0]);
            producer.setSendMsgTimeout(10_000);
            producer.setCompressMsgBodyOverHowmuch(1000);
            if (kind.equals("lz4") || kind.equals("zlib") || kind.equals("zstd")) {
                producer.setCompressType(CompressionType.of(kind.toUpperCase()));
            }
            producer.start();
            String ids = send(producer, args[1] + kind, kind).getMsgId();
            producer.shutdown();
            System.out.println("{\"kind\":\"" + kind + "\",\"ids\":[\"" + ids.replace(",", "\",\"") + "\"]}");
        }
        System.exit(0);
    }

    private static SendResult send(DefaultMQProducer producer, String topic, String kind) throws Exception {
        switch (kind) {
            case "batch":
            case "inner":
                List<Message> messages = new ArrayList<>();
                for (int i = 0; i < 3; i++) {
                    messages.add(message(topic, kind + " " + i));
                }
                return producer.send(messages);
            case "transaction":
                return producer.sendMessageInTransaction(message(topic, kind), null);
            case "delayed":
                Message delayed = message(topic, kind);
                delayed.setDelayTimeLevel(1);
                return producer.send(delayed);
            case "timed":
                Message timed = message(topic, kind);
                timed.setDelayTimeMs(1_000);
                return producer.send(timed);
            default:
                StringBuilder large = new StringBuilder(kind).append(' ');
                while (large.length() < 20_000) {
                    large.append("Bücher ");
                }
                return producer.send(message(topic, large.toString()));
        }
    }

    private static Message message(String topic, String body) {
        Message message = new Message(topic, "tag", "key", body.getBytes(StandardCharsets.UTF_8));
        message.putUserProperty("own", "ä");
        return message;
    }

    private static TransactionMQProducer transactional() {
        TransactionMQProducer producer = new TransactionMQProducer("kinds-transaction");
        producer.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
                return LocalTransactionState.COMMIT_MESSAGE;
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt message) {
                return LocalTransactionState.COMMIT_MESSAGE;
            }
        });
        return producer;
    }
}
