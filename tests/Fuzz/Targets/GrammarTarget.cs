using System.Text;
using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Matching;

namespace LlamaCluster.Fuzz.Tests.Targets;

/// <summary>A grammar: compiled, and followed for some tokens that it lets through.</summary>
sealed class GrammarTarget(GrammarKind kind, IReadOnlyList<string> seeds, IReadOnlyList<string> words) : ITarget
{
    const int TokensFollowed = 24;

    static readonly GrammarVocabulary Vocabulary = new(
        300,
        [
            .. Enumerable.Range(0, 256).Select(value => (ReadOnlyMemory<byte>)new[] { (byte)value }),
            .. Pieces.Select(piece => (ReadOnlyMemory<byte>)Encoding.UTF8.GetBytes(piece)),
        ],
        [299]);

    static string[] Pieces => ["{\"", "\":", "\",\"", "true", "null", "}]", " the", "0.5", "12", "ab", "aaaa", "日本", "é", "\n ", "[]"];

    public IReadOnlyList<byte[]> Seeds { get; } = [.. seeds.Select(Encoding.UTF8.GetBytes)];

    public IReadOnlyList<string> Words => words;

    public static GrammarTarget OfSchemas() => new(
        GrammarKind.JsonSchema,
        [
            """{"type":"object","properties":{"name":{"type":"string","minLength":1,"maxLength":20},"age":{"type":"integer","minimum":0,"maximum":150}}"""
                + ""","required":["name"],"additionalProperties":false}""",
            """{"type":"array","items":{"$ref":"#/$defs/n"},"minItems":1,"maxItems":4"""
                + ""","$defs":{"n":{"anyOf":[{"type":"null"},{"enum":["a",1,true]},{"const":{"x":[1]}}]}}}""",
            """{"oneOf":[{"type":"string","pattern":"^[a-z]{2,5}$"},{"type":"string","format":"date-time"},"""
                + """{"type":"number","multipleOf":0.5,"exclusiveMinimum":-1}]}""",
            """{"allOf":[{"properties":{"a":{"type":"string"}}},{"required":["a"],"patternProperties":{"^x-":{"type":"boolean"}}}]"""
                + ""","not":{"required":["z"]},"if":{"required":["b"]},"then":{"required":["c"]}}""",
            """{"type":["string","null"],"prefixItems":[{},{"type":"integer"}],"items":false,"contains":{"const":1}"""
                + ""","dependentRequired":{"a":["b"]},"unevaluatedProperties":false,"propertyNames":{"maxLength":3}}""",
        ],
        [
            "\"type\":", "\"object\"", "\"array\"", "\"string\"", "\"integer\"", "\"properties\":", "\"required\":", "\"items\":", "\"$ref\":\"#\"",
            "\"$ref\":\"#/$defs/n\"", "\"$defs\":", "\"anyOf\":[", "\"oneOf\":[", "\"allOf\":[", "\"not\":", "\"if\":", "\"then\":", "\"else\":", "\"enum\":[",
            "\"const\":", "\"pattern\":\"", "\"format\":\"date\"", "\"format\":\"uuid\"", "\"minLength\":", "\"maxLength\":", "\"minimum\":",
            "\"exclusiveMaximum\":", "\"multipleOf\":", "\"minItems\":", "\"maxItems\":", "\"uniqueItems\":true", "\"prefixItems\":[", "\"contains\":",
            "\"additionalProperties\":", "\"patternProperties\":", "\"minProperties\":", "\"propertyNames\":", "\"dependentSchemas\":", "\"unevaluatedItems\":",
            "{", "}", "[", "]", ",", ":", "true", "false", "null", "\\u0000", "\\ud800",
        ]);

    public static GrammarTarget OfExpressions() => new(
        GrammarKind.Regex,
        [
            "(yes|no)", "[A-Za-z_][A-Za-z0-9_]*", "\\d{4}-\\d{2}-\\d{2}(T\\d{2}:\\d{2})?", "^(?:a|bc){2,5}[^x-z\\s]+$", "\\u{1F600}|\\x41\\p{L}+|.*?(?=z)",
            "(?<n>a)\\k<n>|\\bword\\b", "[\\w.-]+@[\\w-]+\\.[a-z]{2,}",
        ],
        [
            "(", ")", "(?:", "(?=", "(?!", "(?<n>", "[", "]", "[^", "|", "*", "+", "?", "*?", "{2,5}", "{0}", "{1000}", "{,}", ".", "^", "$", "\\d", "\\D",
            "\\w", "\\s", "\\b", "\\p{L}", "\\P{Lu}", "\\u{10FFFF}", "\\ud83d", "\\x41", "\\1", "\\k<n>", "a-z", "\\c", "é", "日",
        ]);

    public static GrammarTarget OfGbnf() => new(
        GrammarKind.Gbnf,
        [
            "root ::= \"yes\" | \"no\"", "root ::= item (\",\" item)*\nitem ::= [a-z]+ | \"(\" root \")\" # nested\n",
            "root ::= [^\"\\\\\\x00-\\x1f]{1,20} ws\nws ::= [ \\t\\n]{0,3}",
            "root ::= object\nobject ::= \"{\" (pair (\",\" pair)*)? \"}\"\npair ::= \"\\\"\" [a-z]* \"\\\":\" value\nvalue ::= object | [0-9]+ | \"true\"",
        ],
        [
            "root", " ::= ", "::=", "\n", " | ", "(", ")", "[", "]", "[^", "*", "+", "?", "{2}", "{1,}", "{0,1000}", "\"", "\\\"", "\\n", "\\x41", "\\u00e9",
            "\\U0001F600", ".", "#", "item", "a-z", "-",
        ]);

    public void Run(byte[] input)
    {
        var compiled = GrammarCompiler.Compile(new GrammarSource(kind, Encoding.UTF8.GetString(input)));
        if (compiled.Refusal is { } refusal)
        {
            if ($"{refusal}".Any(char.IsControl)) throw new InvalidOperationException($"not one line: '{refusal}'");
            return;
        }
        try
        {
            Follow(new GrammarMatcher(compiled.Grammar!.Rules, new MaskCache(Vocabulary)), input.Length);
        }
        catch (GrammarException tooMuch)
        {
            Refusals.Check(tooMuch);
        }
    }

    public void Dispose() { }

    /// <summary>Takes the tokens that a number chooses of those that are let through. Each of them must be one that the grammar takes.</summary>
    static void Follow(GrammarMatcher matcher, int choice)
    {
        var mask = new ulong[Vocabulary.Words];
        for (var count = 0; count < TokensFollowed && !matcher.IsDead; count++)
        {
            Array.Clear(mask);
            matcher.Mask(mask);
            int[] open = [.. Enumerable.Range(0, Vocabulary.Size).Where(id => (mask[id >> 6] >> id & 1) != 0)];
            if (open.Length == 0) throw new InvalidOperationException("no token is let through, and the answer may not end");
            var id = open[(choice + 7 * count) % open.Length];
            matcher.Add(id);
            if (id == 299) return;
            if (matcher.IsDead) throw new InvalidOperationException($"token {id} was let through, and is none of the grammar's");
        }
    }
}
