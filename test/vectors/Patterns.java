import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import software.amazon.event.ruler.JsonRuleCompiler;
import software.amazon.event.ruler.Machine;

/** Answers the cases of patterns.json by AWS's event-ruler: java Patterns patterns.json */
public class Patterns {
  public static void main(String[] args) throws Exception {
    ObjectMapper json = new ObjectMapper();
    File file = new File(args[0]);
    ObjectNode vectors = (ObjectNode) json.readTree(file);
    StringBuilder cases = new StringBuilder();
    for (JsonNode one : vectors.withArray("cases")) {
      ObjectNode body = json.createObjectNode();
      body.set("body", one.get(0));
      String pattern = json.writeValueAsString(body);
      String event = "{\"body\":" + one.get(1).asText() + "}";
      ArrayNode answered = json.createArrayNode().add(one.get(0)).add(one.get(1));
      String error = JsonRuleCompiler.check(pattern);
      if (error != null) answered.add("refused");
      else {
        Machine machine = new Machine();
        machine.addRule("rule", pattern);
        answered.add(!machine.rulesForJSONEvent(event).isEmpty());
      }
      cases.append(cases.length() == 0 ? "" : ",\n").append(json.writeValueAsString(answered));
    }
    vectors.remove("cases");
    String head = json.writeValueAsString(vectors);
    java.nio.file.Files.writeString(
        file.toPath(),
        head.substring(0, head.length() - 1) + ",\"cases\":[\n" + cases + "\n]}\n");
  }
}
