namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>
/// One open GGUF file: its metadata and its tensor table, of whatever architecture and types. What is needed of them to run a
/// Llama is checked by <see cref="GgufWeights"/>; a tokenizer needs only the metadata.
/// </summary>
public sealed class GgufFile : IDisposable
{
    readonly GgufHeader _header;

    GgufFile(ModelFile file, GgufHeader header)
    {
        File = file;
        _header = header;
    }

    public string Path => File.Path;

    /// <summary>2 or 3.</summary>
    public uint Version => _header.Version;

    public GgufMetadata Metadata => _header.Metadata;

    /// <summary>In stored order.</summary>
    public IReadOnlyList<GgufTensor> Tensors => _header.Tensors;

    internal ModelFile File { get; }

    /// <summary>Bytes from the start of the file to the tensor data.</summary>
    public long DataStart => _header.DataStart;

    internal uint Alignment => _header.Alignment;

    /// <summary>Reads the header; tensor data is not touched.</summary>
    /// <exception cref="ModelFormatException">Not a GGUF file of version 2 or 3, or a damaged one.</exception>
    public static GgufFile Open(string path)
    {
        var file = ModelFile.Open(path);
        try
        {
            return new GgufFile(file, GgufHeaderReader.Read(file));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public void Dispose() => File.Dispose();
}
