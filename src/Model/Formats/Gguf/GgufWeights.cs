using System.Runtime.InteropServices;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>A Llama in a GGUF file, or in the parts of one.</summary>
sealed class GgufWeights : StoredWeights
{
    readonly List<GgufFile> _files;

    GgufWeights(List<GgufFile> files, string name, LlamaConfig config, IReadOnlyList<StoredTensor> tensors) : base(name, config, tensors) => _files = files;

    /// <param name="path">The file, or the first part.</param>
    public static GgufWeights Open(string path)
    {
        List<GgufFile> files = [GgufParts.OpenFirst(path)];
        try
        {
            var first = files[0];
            files.AddRange(GgufParts.OpenRest(first));
            var config = new GgufConfig(first.Metadata);
            var tensors = CollectTensors(files);
            return new GgufWeights(files, NameOf(first), Check(first, ReadConfig(config, first, tensors), tensors), [.. tensors.Values]);
        }
        catch
        {
            files.ForEach(file => file.Dispose());
            throw;
        }
    }

    public override void Dispose() => _files.ForEach(file => file.Dispose());

    static OrderedDictionary<string, StoredTensor> CollectTensors(List<GgufFile> files)
    {
        OrderedDictionary<string, StoredTensor> tensors = new(StringComparer.Ordinal);
        foreach (var part in files.Select(file => new GgufPart(file)))
            foreach (var tensor in part.Tensors)
                if (!tensors.TryAdd(tensor.Info.Name, tensor)) throw part.File.Error($"tensor {ErrorText.Quote(tensor.Info.Name)} is in another part too");
        return tensors;
    }

    static LlamaConfig ReadConfig(GgufConfig config, GgufFile first, OrderedDictionary<string, StoredTensor> tensors)
    {
        if (!tensors.TryGetValue(LlamaTensors.Embedding, out var embedding)) throw first.File.Error($"tensor {LlamaTensors.Embedding} is missing");
        var divisors = tensors.TryGetValue(LlamaTensors.RopeFactors, out var factors) ? ReadDivisors(factors) : null;
        return config.Read((int)embedding.Info.Rows, divisors, tied: !tensors.ContainsKey(LlamaTensors.Output), BiasesOf(tensors.Keys));
    }

    /// <summary>Metadata say nothing of biases: what a layer has, all are to have.</summary>
    static AttentionBiases BiasesOf(ICollection<string> tensors)
    {
        var biases = tensors.Where(name => name.EndsWith(LlamaTensors.BiasEnd, StringComparison.Ordinal)).ToList();
        return (Has(LlamaTensors.Query) ? AttentionBiases.Inputs : 0) | (Has(LlamaTensors.AttentionOutput) ? AttentionBiases.Output : 0);

        bool Has(string part) => biases.Exists(name => name.EndsWith($".{part}{LlamaTensors.BiasEnd}", StringComparison.Ordinal));
    }

    static float[] ReadDivisors(StoredTensor tensor)
    {
        const int maxDivisors = 4096;
        if (tensor.Info is not { Type: TensorType.F32, Rows: 1, Columns: <= maxDivisors })
            throw tensor.File.Error($"tensor {tensor.Info.Name} is {tensor.Info.Type} [{tensor.Info.Rows}, {tensor.Info.Columns}]; it must be a vector of F32");
        var divisors = new float[tensor.Info.Columns];
        tensor.File.Read(tensor.Offset, MemoryMarshal.AsBytes(divisors.AsSpan()));
        return divisors;
    }

    static LlamaConfig Check(GgufFile first, LlamaConfig config, OrderedDictionary<string, StoredTensor> tensors)
    {
        var problem = LlamaConfigRules.FirstProblem(config)
            ?? LlamaTensorRules.FirstProblem(config, tensors.Values.ToDictionary(t => t.Info.Name, t => t.Info), ExpertTensors.NameInFiles)
            ?? VocabularyProblem(first.Metadata, config);
        return problem is null ? config : throw first.File.Error(problem);
    }

    // Token ids index the embedding: a list of another length would name rows that are not there.
    static string? VocabularyProblem(GgufMetadata metadata, LlamaConfig config)
    {
        const string key = "tokenizer.ggml.tokens";
        return metadata.Values.TryGetValue(key, out var tokens) && tokens.Count != config.VocabularySize
            ? $"{key} has {tokens.Count} entries, but {LlamaTensors.Embedding} has {config.VocabularySize} rows"
            : null;
    }

    static string NameOf(GgufFile first) => first.Metadata.TryGetString("general.name", out var name) && !string.IsNullOrWhiteSpace(name)
        ? name
        : Path.GetFileNameWithoutExtension(first.Path);
}
