using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Conversion;

/// <summary>
/// Writes a model, of whatever form, as one GGUF file of another type, with all that is needed to run it: config, tokenizer and chat
/// template (<c>llamacluster quantize</c>).
/// </summary>
public sealed class ModelQuantizer : IDisposable
{
    readonly string _sourcePath;
    readonly QuantizedWeights _weights;
    readonly TensorType _target;

    /// <param name="path">A .gguf file (the first part of a split one) or a Hugging Face folder.</param>
    /// <param name="target">One of <see cref="QuantizationRules.Targets"/>.</param>
    /// <exception cref="ModelFormatException">No model, or one that cannot be quantised so.</exception>
    public ModelQuantizer(string path, TensorType target)
    {
        _sourcePath = path;
        _target = target;
        var source = ModelFiles.Open(path);
        try
        {
            _weights = new QuantizedWeights(StoredDivisors.Of(source), target);
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <summary>Bytes of tensors that <see cref="Write"/> will write.</summary>
    public long Bytes => _weights.Tensors.Sum(tensor => tensor.Bytes);

    public IReadOnlyList<TensorInfo> Tensors => _weights.Tensors;

    /// <summary>Writes the file; it appears under its name when it is whole.</summary>
    /// <param name="written">Told how many bytes of tensors have been written so far.</param>
    /// <exception cref="ModelFormatException">The source cannot be read, or its tokenizer has no form in GGUF.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void Write(string path, IProgress<long>? written = null, CancellationToken cancellation = default)
    {
        var metadata = Describe();
        var partial = path + ".partial";
        try
        {
            using (var file = new FileStream(partial, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 1 << 20))
                GgufWriter.Write(file, metadata, _weights, _weights.Tensors, written, cancellation);
            File.Move(partial, path, overwrite: true);
        }
        finally
        {
            File.Delete(partial);
        }
    }

    public void Dispose() => _weights.Dispose();

    GgufPairs Describe()
    {
        var pairs = Directory.Exists(_sourcePath) ? FolderDescription.Of(_sourcePath, _weights) : CopyOf(_sourcePath);
        pairs.Set("general.quantization_version", 2u);
        pairs.Set("general.file_type", FileType(_target));
        return pairs;
    }

    static GgufPairs CopyOf(string path)
    {
        using var source = GgufParts.OpenFirst(path);
        var pairs = new GgufPairs();
        foreach (var key in source.Metadata.Values.Keys)
            if (!key.StartsWith("split.", StringComparison.Ordinal) && key != "general.alignment") pairs.Copy(source.Metadata, key);
        return pairs;
    }

    // llama.cpp's llama_ftype, which tools show to users.
    static uint FileType(TensorType target) => target switch
    {
        TensorType.Q4_0 => 2,
        TensorType.Q8_0 => 7,
        TensorType.Q4_K => 14,
        TensorType.Q6_K => 18,
        _ => throw new ArgumentOutOfRangeException(nameof(target), target, "not a type to quantise to"),
    };
}
