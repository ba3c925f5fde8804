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

    public static AdapterWeights Open(string folder, LlamaConfig config)
    {
        var settings = PeftSettings.Read(Path.Combine(folder, ConfigName));
        var path = Path.Combine(folder, TensorsName);
        if (!File.Exists(path) && File.Exists(Path.Combine(folder, "adapter_model.bin")))
            throw new ModelFormatException($"{folder}: has adapter_model.bin, which is not read, for such files can hold programs: save the adapter as {TensorsName}");
        var file = SafetensorsFile.Open(path);
        try
        {
            var names = new HuggingFaceNames(FamilyOf(config));
            var tensors = new OrderedDictionary<string, StoredTensor>(StringComparer.Ordinal);
            var inFile = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var name in file.Names)
            {
                var ggufName = NameOf(path, name, names);
                if (!inFile.TryAdd(ggufName, name)) throw new ModelFormatException($"{path}: tensors {ErrorText.Quote(inFile[ggufName])} and {ErrorText.Quote(name)} are the same");
                tensors.Add(ggufName, file.Locate(name, ggufName));
            }
            var pairs = AdapterWeights.PairsOf(
                path, tensors, config, name => inFile.GetValueOrDefault(name) ?? name, (target, rank) => settings.ScaleOf(names.FromGguf(target.Name), rank));
            var headSize = FamilyOf(config) is HuggingFaceFamily.Llama4 ? (int?)null : config.HeadSize;
            return new AdapterWeights(new AdapterTensors(Path.GetFileName(Path.TrimEndingDirectorySeparator(folder)), config, [.. tensors.Values], file, headSize), pairs);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>GGUF's name of a tensor; of one that belongs to nothing that can be changed, its own.</summary>
    static string NameOf(string path, string name, HuggingFaceNames names)
    {
        if (name.Contains("lora_magnitude_vector", StringComparison.Ordinal)) throw Unsupported("DoRA");
        if (name.EndsWith(".bias", StringComparison.Ordinal)) throw Unsupported("a bias");
        foreach (var (end, isA) in (ReadOnlySpan<(string, bool)>)[(".lora_A.weight", true), (".lora_A.default.weight", true), (".lora_B.weight", false), (".lora_B.default.weight", false)])
            if (name.StartsWith(Prefix, StringComparison.Ordinal) && name.EndsWith(end, StringComparison.Ordinal) && name.Length > Prefix.Length + end.Length)
            {
                var target = names.ToGguf($"{name[Prefix.Length..^end.Length]}.weight");
                return isA ? AdapterPair.NameOfA(target) : AdapterPair.NameOfB(target);
            }
        return name;

        ModelFormatException Unsupported(string what) => new($"{path}: tensor {ErrorText.Quote(name)} is of {what}, which is not supported; plain LoRA is");
    }

    static HuggingFaceFamily FamilyOf(LlamaConfig config) =>
        config.Chunks is not null ? HuggingFaceFamily.Llama4 : config.Experts is not null ? HuggingFaceFamily.Mixtral : HuggingFaceFamily.Llama;
}
