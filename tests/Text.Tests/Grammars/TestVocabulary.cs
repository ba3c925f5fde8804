using System.Text;
using LlamaCluster.Text.Grammars.Matching;

namespace LlamaCluster.Text.Tests.Grammars;

/// <summary>All bytes, and tokens that reach across the parts of JSON in all ways.</summary>
sealed class TestVocabulary
{
    static readonly string[] Pieces =
    [
        "{\"", "\"}", "\":", "\": ", "\": \"", "\",", "\", \"", "\",\"", "\"]", "\"}}", "}}", "}]", "]]", "[[", "[{", "{}", "[]", "[\"", " \"", ": ", ":\"",
        ", ", ",\"", "true", "false", "null", "tru", "e,", "e}", "ue", "nul", "0", "10", "123", "00", "-1", "1.5", ".5", "e3", "1e", "1,", "2]", "3}", "4, \"",
        "  ", "\n", "\n  ", "\t", "a", "ab", "abc", "name", "na", "items", "item", "red", "one", "more", "x y", "two words", "é", "😀", "\\\"", "\\n",
        "\\u00", "\\ud83d", "quote\\\"back", "b12", "c9x", "20", "2026", "-0", "-11", "-2", "\u0001", "k\": \"v", "k", "v", "q\\\"t", "n1", "🙂é", "é\"",
    ];

    TestVocabulary(IEnumerable<string> pieces)
    {
        Texts =
        [
            .. Enumerable.Range(0, 256).Select(value => new[] { (byte)value }), .. pieces.Select(Encoding.UTF8.GetBytes),
            .. new byte[][] { [0xC3], [0xA9, (byte)'"'], [0xF0, 0x9F], [] },
        ];
        EndId = Texts.Count - 1;
        Grammar = new GrammarVocabulary(Texts.Count + 3, Texts, [EndId]);
    }

    public static TestVocabulary Json { get; } = new(Pieces);

    public IReadOnlyList<ReadOnlyMemory<byte>> Texts { get; }

    public int EndId { get; }

    public GrammarVocabulary Grammar { get; }

    /// <summary>How far a token brings an answer to its end.</summary>
    public int Closing(int id) => id == EndId ? 1000
        : Texts[id].Span switch
        {
            [(byte)'"' or (byte)'}' or (byte)']'] => 100,
            [(byte)'1' or (byte)'0'] => 40,
            [(byte)':' or (byte)','] => 30,
            [>= (byte)'a' and <= (byte)'z'] => 20,
            [(byte)' ' or (byte)'\n' or (byte)'\t' or (byte)'{' or (byte)'['] => -10,
            { Length: 1 } => 10,
            _ => 0,
        };
}
