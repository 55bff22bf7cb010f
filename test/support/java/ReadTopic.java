import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Reads a topic from its beginning to its end with RocketMQ's own consumer, a line of JSON per message: ReadTopic NAMESERVER TOPIC. */
public class ReadTopic {
    public static void main(String[] args) throws Exception {
        // The client's threads would keep a failed program alive.
        Thread.setDefaultUncaughtExceptionHandler((thread, error) -> {
            error.printStackTrace();
            System.exit(1);
        });
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer("test-reader");
        consumer.setNamesrvAddr(args[0]);
        consumer.start();
        for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(args[1])) {
            long offset = consumer.minOffset(queue);
            long max = consumer.maxOffset(queue);
            while (offset < max) {
                PullResult result = consumer.pull(queue, "*", offset, 32);
                offset = result.getNextBeginOffset();
                if (result.getPullStatus() != PullStatus.FOUND) {
                    continue;
                }
                for (MessageExt message : result.getMsgFoundList()) {
                    System.out.println("{\"msgId\":\"" + message.getMsgId() + "\",\"keys\":\"" + message.getKeys()
                        + "\",\"seq\":\"" + message.getUserProperty("seq") + "\",\"reconsumeTimes\":" + message.getReconsumeTimes()
                        + ",\"queueId\":" + message.getQueueId() + ",\"queueOffset\":" + message.getQueueOffset()
                        + ",\"storedAt\":" + message.getStoreTimestamp() + ",\"realTopic\":\"" + message.getProperty("REAL_TOPIC")
                        + "\",\"originTopic\":\"" + message.getProperty("RETRY_TOPIC") + "\"}");
                }
            }
        }
        consumer.shutdown();
        System.exit(0);
    }
}
