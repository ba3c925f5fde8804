using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.HuggingFace;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Adapters;

/// <summary>An adapter in a folder, as the PEFT library writes it: adapter_config.json and adapter_model.safetensors.</summary>
static class PeftAdapter
{
    const string ConfigName = "adapter_config.json";
    const string TensorsName = "adapter_model.safetensors";

    /// <summary>What PEFT puts before the names of the model's own modules.</summary>
    const string Prefix = "base_model.model.";

    enum TensorOf
    {
        A,
        B,

        /// <summary>The whole matrix.</summary>
        Whole,
    }

    /// <summary>How names end, the longer ones first: as files of several versions of the library have them.</summary>
    static readonly (string End, TensorOf Part)[] Ends =
    [
        (".lora_A.weight", TensorOf.A), (".lora_A.default.weight", TensorOf.A), (".lora_embedding_A", TensorOf.A), (".lora_embedding_A.default", TensorOf.A),
        (".lora_B.weight", TensorOf.B), (".lora_B.default.weight", TensorOf.B), (".lora_embedding_B", TensorOf.B), (".lora_embedding_B.default", TensorOf.B),
        (".modules_to_save.default.weight", TensorOf.Whole), (".modules_to_save.weight", TensorOf.Whole), (".base_layer.weight", TensorOf.Whole),
        (".weight", TensorOf.Whole),
    ];

    public static AdapterWeights Open(string folder, LlamaConfig config)
    {
        var settings = PeftSettings.Read(Path.Combine(folder, ConfigName));
        var path = Path.Combine(folder, TensorsName);
        if (!File.Exists(path) && File.Exists(Path.Combine(folder, "adapter_model.bin")))
            throw new ModelFormatException(
                $"{folder}: has adapter_model.bin, which is not read, for such files can hold programs: save the adapter as {TensorsName}");
        var file = SafetensorsFile.Open(path);
        try
        {
            var names = new HuggingFaceNames(FamilyOf(config));
            var tensors = new OrderedDictionary<string, StoredTensor>(StringComparer.Ordinal);
            var inFile = new Dictionary<string, string>(StringComparer.Ordinal);
            // .original_module.: the model's own matrix, unchanged.
            foreach (var name in file.Names.Where(stored => !stored.Contains(".original_module.", StringComparison.Ordinal)))
            {
                var ggufName = NameOf(path, name, names);
                if (!inFile.TryAdd(ggufName, name))
                    throw new ModelFormatException($"{path}: tensors {ErrorText.Quote(inFile[ggufName])} and {ErrorText.Quote(name)} are the same");
                var stored = file.Locate(name, ggufName);
                tensors.Add(ggufName, ggufName == AdapterPair.NameOfA(LlamaTensors.Embedding) ? Transposed(stored) : stored);
            }
            foreach (var saved in settings.Saved)
                if (!tensors.ContainsKey(names.ToGguf(saved)))
                    throw new ModelFormatException(
                        $"{path}: modules_to_save names the module of {ErrorText.Quote(saved)}, which the file does not have: save the adapter again");
            var content = AdapterWeights.ContentOf(
                path, tensors, config, name => inFile.GetValueOrDefault(name) ?? name, (target, rank) => settings.ScaleOf(names.FromGguf(target.Name), rank),
                settings.TiesHead);
            var headSize = FamilyOf(config) is HuggingFaceFamily.Llama4 ? (int?)null : config.HeadSize;
            var called = Path.GetFileName(Path.TrimEndingDirectorySeparator(folder));
            return new AdapterWeights(new AdapterTensors(called, config, [.. tensors.Values], file, headSize), content)
            {
                TextFolder = TextFolderOf(folder, content, config),
            };
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>An adapter that brings an embedding may bring the tokenizer that it was trained with; one that adds tokens must.</summary>
    static string? TextFolderOf(string folder, AdapterContent content, LlamaConfig config)
    {
        var hasFiles = FolderTextReader.HasTokenizer(folder);
        if (!hasFiles && content.VocabularySize != config.VocabularySize)
            throw new ModelFormatException($"{folder}: has a vocabulary of {content.VocabularySize}, the model's is {config.VocabularySize}, "
                + "and there is no tokenizer.json or tokenizer.model: put the files of the tokenizer that it was trained with beside it");
        return hasFiles && content.Replacements.Any(replacement => replacement.Target.IsEmbedding) ? folder : null;
    }

    /// <summary>PEFT keeps A of the embedding as [R, V]; a token takes a column of it.</summary>
    static StoredTensor Transposed(StoredTensor stored) =>
        stored with { Info = stored.Info with { Rows = stored.Info.Columns, Columns = stored.Info.Rows }, ColumnStride = stored.Info.RowBytes };

    /// <summary>GGUF's name of a tensor: of a pair's two, and of a matrix that is whole. Of one that belongs to nothing that can be changed, its own.</summary>
    static string NameOf(string path, string name, HuggingFaceNames names)
    {
        if (name.Contains("lora_magnitude_vector", StringComparison.Ordinal)) throw Unsupported("DoRA");
        if (name.EndsWith(".bias", StringComparison.Ordinal)) throw Unsupported("a bias");
        if (!name.StartsWith(Prefix, StringComparison.Ordinal)) return name;
        foreach (var (end, part) in Ends)
            if (name.EndsWith(end, StringComparison.Ordinal) && name.Length > Prefix.Length + end.Length)
            {
                var target = names.ToGguf($"{name[Prefix.Length..^end.Length]}.weight");
                return part switch
                {
                    TensorOf.A => AdapterPair.NameOfA(target),
                    TensorOf.B => AdapterPair.NameOfB(target),
                    _ => target,
                };
            }
        return name;

        ModelFormatException Unsupported(string what) => new($"{path}: tensor {ErrorText.Quote(name)} is of {what}, which is not supported; plain LoRA is");
    }

    static HuggingFaceFamily FamilyOf(LlamaConfig config) =>
        config.Chunks is not null ? HuggingFaceFamily.Llama4 : config.Experts is not null ? HuggingFaceFamily.Mixtral
        : config.Sizes is not null ? HuggingFaceFamily.Nemotron : HuggingFaceFamily.Llama;
}
