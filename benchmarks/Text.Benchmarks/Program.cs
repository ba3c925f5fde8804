using LlamaCluster.Text.Benchmarks;

// Times of grammars, by a vocabulary of Llama 3's size. --vocabulary FILE: one of a file, in which each line is a token's bytes in base64.
var vocabulary = args is ["--vocabulary", var path] ? BenchmarkVocabulary.Read(path) : BenchmarkVocabulary.Make(128_256);
Console.WriteLine($"{vocabulary.Texts.Count} tokens, prepared in {vocabulary.PreparedIn.TotalMilliseconds:F0} ms");
return new GrammarBenchmarks(vocabulary).Run(Console.Out) ? 0 : 1;
