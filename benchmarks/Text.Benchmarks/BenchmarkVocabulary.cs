using System.Diagnostics;
using System.Text;
using LlamaCluster.Text.Grammars.Matching;

namespace LlamaCluster.Text.Benchmarks;

/// <summary>The tokens that grammars are timed by.</summary>
sealed class BenchmarkVocabulary
{
    const int Seed = 1;

    BenchmarkVocabulary(IReadOnlyList<ReadOnlyMemory<byte>> texts)
    {
        Texts = texts;
        var begun = Stopwatch.GetTimestamp();
        Grammar = new GrammarVocabulary(texts.Count, texts, [texts.Count - 1]);
        PreparedIn = Stopwatch.GetElapsedTime(begun);
    }

    public IReadOnlyList<ReadOnlyMemory<byte>> Texts { get; }

    public GrammarVocabulary Grammar { get; }

    public TimeSpan PreparedIn { get; }

    public int EndId => Texts.Count - 1;

    /// <param name="path">Each line is a token's bytes in base64; empty for tokens that are not text.</param>
    public static BenchmarkVocabulary Read(string path) =>
        new([.. File.ReadLines(path).Select(line => (ReadOnlyMemory<byte>)Convert.FromBase64String(line)), ReadOnlyMemory<byte>.Empty]);

    /// <summary>All bytes, then words with and without a space, numbers, white space, punctuation as programs and JSON have it, and text beyond ASCII, in about the shares of Llama 3's.</summary>
    public static BenchmarkVocabulary Make(int size)
    {
        var random = new Random(Seed);
        var texts = new List<byte[]>(Enumerable.Range(0, 256).Select(value => new[] { (byte)value }));
        var known = new HashSet<string>();
        while (texts.Count < size - 1)
        {
            var text = Next(random);
            if (known.Add(text)) texts.Add(Encoding.UTF8.GetBytes(text));
        }
        return new([.. texts.Select(text => (ReadOnlyMemory<byte>)text), ReadOnlyMemory<byte>.Empty]);
    }

    static string Next(Random random) => random.Next(20) switch
    {
        < 9 => " " + Word(random, 'a', 26, 10),
        < 13 => Word(random, 'a', 26, 9),
        < 14 => " " + char.ToUpperInvariant((char)('a' + random.Next(26))) + Word(random, 'a', 26, 7),
        < 15 => random.Next(1000).ToString(System.Globalization.CultureInfo.InvariantCulture) + (random.Next(20) == 0 ? "." : ""),
        < 17 => (random.Next(2) == 0 ? " " : "") + Word(random, random.Next(2) == 0 ? 'а' : 'ا', 28, 6),
        < 18 => Word(random, '一', 5000, 2),
        < 19 => Pieces(random, ["\"", "\":", "\",", "{", "}", "[", "]", ",", ":", "(", ")", ";", "'", ".", "=", "\\", "\n", " ", "//", "/>"], 3),
        _ => new string(" \n\t"[random.Next(3)], 1 + random.Next(80)) + Pieces(random, ["", "}", "]", "\"", "a", "//", "return"], 1),
    };

    static string Word(Random random, char first, int letters, int longest) =>
        string.Concat(Enumerable.Range(0, 1 + random.Next(longest)).Select(_ => (char)(first + random.Next(letters))));

    static string Pieces(Random random, string[] pieces, int most) => string.Concat(Enumerable.Range(0, 1 + random.Next(most)).Select(_ => pieces[random.Next(pieces.Length)]));
}
