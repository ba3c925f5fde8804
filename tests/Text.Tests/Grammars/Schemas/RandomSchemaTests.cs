using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Json.Schema;
using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Matching;

namespace LlamaCluster.Text.Tests.Grammars.Schemas;

/// <summary>Random schemas, random answers, and a validator that is not ours.</summary>
public sealed class RandomSchemaTests
{
    const int Runs = 10_000;

    /// <summary>Tokens of an answer, after which it goes the shortest way to its end.</summary>
    const int LongestAnswer = 60;

    static readonly JsonSerializerOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    [Fact]
    public void EveryValidValueIsAccepted()
    {
        var instances = new SchemaInstances(new Random(1));
        for (var run = 0; run < Runs; run++)
        {
            var (schema, value) = instances.Next();
            Assert.True(Validate(schema, Text(value)), $"the test's own value: {Text(schema)} and {Text(value)}");
            var probe = GrammarProbe.Of(GrammarSource.OfSchema(schema));
            Assert.True(probe.Accepts(Text(value)), $"{Text(schema)} and {Text(value)}");
            Assert.True(
                probe.Accepts(value?.ToJsonString(new JsonSerializerOptions(Relaxed) { WriteIndented = true }) ?? "null"),
                $"{Text(schema)} and {Text(value)}, indented");
        }
    }

    [Fact]
    public void EveryRandomAnswerIsValid()
    {
        var random = new Random(2);
        var instances = new SchemaInstances(new Random(3));
        var vocabulary = TestVocabulary.Json;
        var cache = new MaskCache(vocabulary.Grammar);
        var mask = new ulong[(vocabulary.Grammar.Size + 63) / 64];
        var finished = 0;
        for (var run = 0; run < Runs; run++)
        {
            var (schema, _) = instances.Next();
            var compiled = GrammarCompiler.Compile(GrammarSource.OfSchema(schema));
            Assert.Null(compiled.Refusal?.ToString());
            var matcher = new GrammarMatcher(compiled.Grammar!.Rules, cache);
            var answer = new List<byte>();
            for (var token = 0; token < 4 * LongestAnswer; token++)
            {
                mask.AsSpan().Clear();
                matcher.Mask(mask);
                var allowed = Enumerable.Range(0, vocabulary.Grammar.Size).Where(id => (mask[id / 64] >> id & 1) == 1).ToList();
                Assert.True(allowed.Count > 0, $"a dead end: {Text(schema)} and {Encoding.UTF8.GetString([.. answer])}");
                var id = token < LongestAnswer ? allowed[random.Next(allowed.Count)] : allowed.MaxBy(vocabulary.Closing);
                if (id == vocabulary.EndId)
                {
                    finished++;
                    var text = Encoding.UTF8.GetString([.. answer]);
                    Assert.True(Validate(schema, text), $"{Text(schema)} and {text}");
                    break;
                }
                matcher.Add(id);
                Assert.False(matcher.IsDead, $"{Text(schema)} and {Encoding.UTF8.GetString([.. answer])} and token {id}");
                answer.AddRange(vocabulary.Texts[id].Span);
            }
        }
        Assert.True(finished > Runs * 0.95, $"only {finished} of {Runs} answers came to their end");
    }

    static bool Validate(JsonNode schema, string text)
    {
        using var value = JsonDocument.Parse(text);
        try
        {
            return JsonSchema.FromText(WithPatternsForLengths(schema).ToJsonString()).Evaluate(value.RootElement).IsValid;
        }
        catch (FormatException)
        {
            return Regex.IsMatch(text, "[0-9][eE]|[0-9]{28}");   // it compares numbers as decimals, which have no others
        }
    }

    /// <summary>
    /// JsonSchema.Net counts characters as readers see them; a pattern counts code points, as the specification does (findings/json-schema-text-length.sh).
    /// </summary>
    static JsonNode WithPatternsForLengths(JsonNode schema)
    {
        if (schema is JsonArray array) return new JsonArray([.. array.Select(item => item is null ? null : WithPatternsForLengths(item))]);
        if (schema is not JsonObject fields || fields.ContainsKey("const") || fields.ContainsKey("enum")) return schema.DeepClone();
        var copy = new JsonObject(fields.Select(field => KeyValuePair.Create(field.Key, field.Value is null ? null : WithPatternsForLengths(field.Value))));
        if (copy["minLength"] is not JsonValue && copy["maxLength"] is not JsonValue) return copy;
        var (least, most) = (copy["minLength"]?.GetValue<int>() ?? 0, copy["maxLength"]?.GetValue<int>());
        copy.Remove("minLength");
        copy.Remove("maxLength");
        copy["pattern"] = string.Create(
            CultureInfo.InvariantCulture, $"^(?:[^\\uD800-\\uDFFF]|[\\uD800-\\uDBFF][\\uDC00-\\uDFFF]){{{least},{most}}}(?![\\s\\S])");
        return copy;
    }

    static string Text(JsonNode? node) => node?.ToJsonString(Relaxed) ?? "null";
}
