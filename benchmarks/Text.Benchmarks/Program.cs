using System.Globalization;
using LlamaCluster.Text.Benchmarks;

// Times of grammars, by a vocabulary of Llama 3's size. --vocabulary FILE: one of a file, in which each line is a token's bytes in base64.
// --limits SEED KINDS [TEXT]: looks for sources that take as much as they may to compile instead; with a text only of kinds that have it in their names.
// --schemas DIR: public schemas and their instances instead, in the form of JSON-Schema-Test-Suite or jsonschemabench.
if (args is ["--limits", var seed, var kinds, .. var text])
    return new GrammarLimitSearch(Console.Out)
        .Run(int.Parse(seed, CultureInfo.InvariantCulture), int.Parse(kinds, CultureInfo.InvariantCulture), string.Concat(text)) ? 0 : 1;
if (args is ["--schemas", var folder]) return new SchemaSuites(Console.Out).Run(folder) ? 0 : 1;
var vocabulary = args is ["--vocabulary", var path] ? BenchmarkVocabulary.Read(path) : BenchmarkVocabulary.Make(128_256);
Console.WriteLine($"{vocabulary.Texts.Count} tokens, prepared in {vocabulary.PreparedIn.TotalMilliseconds:F0} ms");
return new GrammarBenchmarks(vocabulary).Run(Console.Out) ? 0 : 1;
