using System.Diagnostics;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Matching;

namespace LlamaCluster.Text.Benchmarks;

/// <summary>
/// Public collections of schemas with instances of which it is known whether they are valid: files of JSON-Schema-Test-Suite (lists of groups) and of
/// jsonschemabench's maskbench (one group each). Each schema is compiled or refused by name, and each instance of a compiled one is read byte by byte.
/// To let an instance through that is not valid is wrong. To keep one out that is valid is narrower than the schema, which is no error: properties come
/// in the schema's order, and numbers and texts in one way of writing.
/// </summary>
sealed class SchemaSuites(TextWriter output)
{
    const int MostShown = 12;

    static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>A token for each byte.</summary>
    readonly MaskCache _bytes = new(new GrammarVocabulary(
        257, [.. Enumerable.Range(0, 256).Select(value => (ReadOnlyMemory<byte>)new[] { (byte)value }), ReadOnlyMemory<byte>.Empty], [256]));

    readonly List<double> _compile = [];
    readonly Dictionary<string, int> _refusals = [];
    readonly List<string> _wrong = [];
    int _schemas, _compiled, _validIn, _validOut, _invalidOut;

    /// <returns>Whether nothing is wrong.</returns>
    public bool Run(string folder)
    {
        foreach (var file in Directory.EnumerateFiles(folder, "*.json", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            using var document = Read(file);
            if (document is null) continue;
            if (document.RootElement.ValueKind == JsonValueKind.Object) Check(file, document.RootElement);
            else foreach (var group in document.RootElement.EnumerateArray()) Check(file, group);
        }
        Report();
        return _wrong.Count == 0;
    }

    JsonDocument? Read(string file)
    {
        try
        {
            return JsonDocument.Parse(File.ReadAllBytes(file), new JsonDocumentOptions { MaxDepth = 512 });
        }
        catch (JsonException wrong)
        {
            output.WriteLine($"{file}: left out: {wrong.Message}");
            return null;
        }
    }

    void Check(string file, JsonElement group)
    {
        _schemas++;
        var source = new GrammarSource(GrammarKind.JsonSchema, group.GetProperty("schema").GetRawText());
        var begun = Stopwatch.GetTimestamp();
        var (grammar, refusal) = GrammarCompiler.Compile(source);
        _compile.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
        if (refusal is not null)
        {
            var kind = KindOf(refusal.Reason);
            _refusals[kind] = _refusals.GetValueOrDefault(kind) + 1;
            return;
        }
        _compiled++;
        foreach (var test in group.GetProperty("tests").EnumerateArray())
        {
            var instance = JsonSerializer.Serialize(test.GetProperty("data"), Plain);
            var (valid, accepted) = (test.GetProperty("valid").GetBoolean(), Accepts(grammar!, instance));
            if (valid && accepted) _validIn++;
            else if (valid) _validOut++;
            else if (!accepted) _invalidOut++;
            else _wrong.Add($"{Path.GetFileName(file)}: {group.GetProperty("description")}: {test.GetProperty("description")}: {Short(instance)}");
        }
    }

    bool Accepts(Grammar grammar, string instance)
    {
        var matcher = new GrammarMatcher(grammar.Rules, _bytes);
        try
        {
            foreach (var value in Encoding.UTF8.GetBytes(instance))
            {
                matcher.Add(value);
                if (matcher.IsDead) return false;
            }
            return matcher.MayEnd;
        }
        catch (GrammarException)
        {
            return false;   // too ambiguous to follow: such an answer ends with an error
        }
    }

    /// <summary>The keyword or limit that a refusal is about.</summary>
    static string KindOf(string reason) =>
        reason.Split('\'') is [_, var keyword, ..] ? $"'{Short(keyword)}'" : Short(new string([.. reason.Where(letter => !char.IsDigit(letter))]));

    static string Short(string text) => text.Length <= 80 ? text : $"{text[..80]}...";

    void Report()
    {
        _compile.Sort();
        output.WriteLine($"schemas: {_schemas}; compiled {Share(_compiled, _schemas)}, refused by name {Share(_schemas - _compiled, _schemas)}");
        output.WriteLine($"compile: median {_compile[_compile.Count / 2]:F2} ms, "
            + $"p99 {_compile[_compile.Count * 99 / 100]:F1} ms, slowest {_compile[^1]:F0} ms");
        output.WriteLine($"valid instances: let through {Share(_validIn, _validIn + _validOut)}, kept out {_validOut}");
        output.WriteLine($"invalid instances: kept out {Share(_invalidOut, _invalidOut + _wrong.Count)}, let through {_wrong.Count}");
        foreach (var (kind, count) in _refusals.OrderByDescending(refused => refused.Value).Take(MostShown)) output.WriteLine($"  refused {count}: {kind}");
        foreach (var wrong in _wrong.Take(MostShown * 4)) output.WriteLine($"  wrong: {wrong}");
    }

    static string Share(int part, int whole) => whole == 0 ? "none" : $"{part} ({100.0 * part / whole:F1} %)";
}
