import com.amazonaws.services.lambda.runtime.events.KafkaEvent;
import com.amazonaws.services.lambda.runtime.events.SQSBatchResponse;
import com.amazonaws.services.lambda.runtime.events.StreamsEventResponse;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Answers of handlers in Java, as Lambda's runtime interface client writes them. */
public class Answers {
  public static class Item {
    private final String itemIdentifier;
    public Item(String itemIdentifier) { this.itemIdentifier = itemIdentifier; }
    public String getItemIdentifier() { return itemIdentifier; }
    public Integer getDelaySeconds() { return null; }
    public int getDelayLevel() { return 0; }
    public String getAction() { return ""; }
  }
  public static class Answer {
    private final List<Item> items;
    public Answer(List<Item> items) { this.items = items; }
    public List<Item> getBatchItemFailures() { return items; }
  }
  static List<SQSBatchResponse.BatchItemFailure> failures(String... ids) {
    List<SQSBatchResponse.BatchItemFailure> list = new ArrayList<>();
    for (String id : ids) list.add(new SQSBatchResponse.BatchItemFailure(id));
    return list;
  }
  /** SQSBatchResponse of aws-lambda-java-events. */
  public SQSBatchResponse sqs(Map<String, String> event) {
    switch (event.get("case")) {
      case "null": return null;
      case "new": return new SQSBatchResponse();
      case "null list": return new SQSBatchResponse(null);
      case "empty list": return new SQSBatchResponse(failures());
      case "one": return new SQSBatchResponse(failures("A"));
      case "null identifier": return new SQSBatchResponse(failures((String) null));
      case "empty identifier": return new SQSBatchResponse(failures(""));
      default: throw new IllegalStateException("no such case");
    }
  }
  public StreamsEventResponse streams(Map<String, String> event) {
    StreamsEventResponse response = new StreamsEventResponse();
    if (event.get("case").equals("one")) response.setBatchItemFailures(List.of(new StreamsEventResponse.BatchItemFailure("A")));
    return response;
  }
  /** A class of the user's: Jackson writes it. */
  public Answer own(Map<String, String> event) {
    switch (event.get("case")) {
      case "null list": return new Answer(null);
      case "empty list": return new Answer(List.of());
      default: return new Answer(List.of(new Item("A")));
    }
  }
  public Map<String, Object> map(Map<String, String> event) {
    Map<String, Object> item = new LinkedHashMap<>();
    item.put("itemIdentifier", "A");
    item.put("delaySeconds", null);
    item.put("action", null);
    Map<String, Object> answer = new HashMap<>();
    if (!event.get("case").equals("empty")) answer.put("batchItemFailures", List.of(item));
    return answer;
  }
  public void nothing(Map<String, String> event) {}
  public String text(Map<String, String> event) { return event.get("case").equals("empty") ? "" : "OK"; }
  public byte[] bytes(Map<String, String> event) { return "{\"batchItemFailures\":[]}".getBytes(); }
  public boolean bool(Map<String, String> event) { return true; }
  public int zero(Map<String, String> event) { return 0; }
}
