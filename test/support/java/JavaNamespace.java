import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/**
 * Names and messages of a namespace, by RocketMQ's own client: JavaNamespace NAMESERVER NAMESPACE TOPIC NAME...
 * Sends one message to the topic, then prints {"name":..,"with":..,"without":..} for each name; `without` is of the name itself.
 */
public class JavaNamespace {
    public static void main(String[] args) throws Exception {
        // The client's threads would keep a failed program alive.
        Thread.setDefaultUncaughtExceptionHandler((thread, error) -> {
            error.printStackTrace();
            System.exit(1);
        });
        DefaultMQProducer producer = new DefaultMQProducer("java-producer");
        producer.setNamespace(args[1]);
        producer.setNamesrvAddr(args[0]);
        producer.setSendMsgTimeout(10_000);
        producer.start();
        producer.send(new Message(args[2], "tag", "java", "from java".getBytes(StandardCharsets.UTF_8)));
        for (int i = 3; i < args.length; i++) {
            String name = args[i];
            System.out.println("{\"name\":\"" + name + "\",\"with\":\"" + producer.withNamespace(name) + "\",\"without\":\""
                + producer.withoutNamespace(name) + "\"}");
        }
        producer.shutdown();
        System.exit(0);
    }
}
