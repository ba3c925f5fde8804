using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Adapters;

/// <summary>An adapter in a GGUF file, as llama.cpp's convert_lora_to_gguf.py writes it.</summary>
static class GgufAdapter
{
    public static AdapterWeights Open(string path, LlamaConfig config)
    {
        var file = GgufFile.Open(path);
        try
        {
            CheckKind(file);
            var alpha = file.Metadata.GetSingle("adapter.lora.alpha");
            var tensors = new GgufPart(file).Tensors.ToDictionary(tensor => tensor.Info.Name, StringComparer.Ordinal);
            // As llama.cpp takes it: without an alpha the product counts once.
            var pairs = AdapterWeights.PairsOf(path, tensors, config, name => name, (_, rank) => alpha == 0 ? 1 : alpha / rank);
            return new AdapterWeights(new AdapterTensors(Path.GetFileNameWithoutExtension(path), config, [.. tensors.Values], file, headSize: null), pairs);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    static void CheckKind(GgufFile file)
    {
        const string type = "general.type", adapterType = "adapter.type";
        if (!file.Metadata.TryGetString(type, out var kind) || kind != "adapter")
            throw file.Metadata.Error(type, $"is {(kind is null ? "missing" : ErrorText.Quote(kind))}: the file is a model, not an adapter");
        if (file.Metadata.GetString(adapterType) is not "lora" and var other) throw file.Metadata.Error(adapterType, $"is {ErrorText.Quote(other)}; only lora is supported");
        if (file.Metadata.Values.Keys.FirstOrDefault(key => key.StartsWith("adapter.alora.", StringComparison.Ordinal)) is { } activated)
            throw file.Metadata.Error(activated, "makes it an activated adapter (aLoRA), which is not supported");
    }
}
