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
            if (tensors.Keys.FirstOrDefault(name => AdapterPair.TargetOf(name) is null) is { } whole)
                throw new ModelFormatException(
                    $"{path}: tensor {ErrorText.Quote(whole)} is no part of a pair, lora_a and lora_b, "
                    + $"which is all that GGUF adapters hold: {InsteadOf(whole)}");
            // As llama.cpp takes it: without an alpha the product counts once.
            var content = AdapterWeights.ContentOf(path, tensors, config, name => name, (_, rank) => alpha == 0 ? 1 : alpha / rank);
            return new AdapterWeights(new AdapterTensors(Path.GetFileNameWithoutExtension(path), config, [.. tensors.Values], file, headSize: null), content);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>
    /// What to do about a whole tensor. llama.cpp's converter writes none but norms, and its loader takes none: it refuses matrices and leaves norms out, so
    /// that they have no meaning that could be followed (convert_lora_to_gguf.py, llama-adapter.cpp).
    /// </summary>
    static string InsteadOf(string name) => name.EndsWith("_norm.weight", StringComparison.Ordinal)
        ? "adapters change no norms here, and llama.cpp would leave it out: merge the adapter into its model, and serve that"
        : name is LlamaTensors.Embedding or LlamaTensors.Output
            ? "give the adapter's folder of the PEFT library, where a whole embedding and head are read"
            : "merge the adapter into its model, and serve that; only an embedding and a head can be whole, in a folder of the PEFT library";

    static void CheckKind(GgufFile file)
    {
        const string type = "general.type", adapterType = "adapter.type";
        if (!file.Metadata.TryGetString(type, out var kind) || kind != "adapter")
            throw file.Metadata.Error(type, $"is {(kind is null ? "missing" : ErrorText.Quote(kind))}: the file is a model, not an adapter");
        if (file.Metadata.GetString(adapterType) is not "lora" and var other)
            throw file.Metadata.Error(adapterType, $"is {ErrorText.Quote(other)}; only lora is supported");
        if (file.Metadata.Values.Keys.FirstOrDefault(key => key.StartsWith("adapter.alora.", StringComparison.Ordinal)) is { } activated)
            throw file.Metadata.Error(activated, "makes it an activated adapter (aLoRA), which is not supported");
    }
}
