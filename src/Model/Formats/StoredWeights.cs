using LlamaCluster.Model.Config;

namespace LlamaCluster.Model.Formats;

/// <summary>Weights whose tensors stand in files: finds a tensor's place and reads its rows from there.</summary>
abstract class StoredWeights : IModelWeights
{
    readonly Dictionary<string, StoredTensor> _byName;

    protected StoredWeights(string name, LlamaConfig config, IReadOnlyList<StoredTensor> tensors)
    {
        Name = name;
        Config = config;
        Tensors = [.. tensors.Select(tensor => tensor.Info)];
        _byName = tensors.ToDictionary(tensor => tensor.Info.Name, StringComparer.Ordinal);
    }

    public string Name { get; }

    public LlamaConfig Config { get; }

    public IReadOnlyList<TensorInfo> Tensors { get; }

    public TensorInfo? Find(string name) => _byName.GetValueOrDefault(name)?.Info;

    public string FileOf(TensorInfo tensor) => Stored(tensor).File.Path;

    public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination)
    {
        tensor.CheckRows(firstRow, destination.Length);
        ReadRows(Stored(tensor), firstRow, destination);
    }

    public void ReadPart(TensorPart part, Span<byte> destination)
    {
        part.Check(destination.Length);
        var stored = Stored(part.Tensor);
        if (part.HasWholeRows) ReadRows(stored, part.FirstRow, destination);
        else ReadColumns(stored, part, destination);
    }

    public string ComputeDigest(CancellationToken cancellation = default) => ModelDigest.Compute(this, cancellation);

    public abstract void Dispose();

    /// <summary>As <see cref="IModelWeights.ReadRows"/>; the rows are known to be the tensor's.</summary>
    protected virtual void ReadRows(StoredTensor tensor, long firstRow, Span<byte> destination) =>
        tensor.File.Read(tensor.Offset + firstRow * tensor.Info.RowBytes, destination);

    /// <summary>Where a row of the tensor stands in its file, counted in rows.</summary>
    protected virtual long StoredRow(StoredTensor tensor, long row) => row;

    void ReadColumns(StoredTensor tensor, TensorPart part, Span<byte> destination)
    {
        var bytes = (int)part.RowBytes;
        for (var row = part.FirstRow; !destination.IsEmpty; row++, destination = destination[bytes..])
            tensor.File.Read(tensor.Offset + StoredRow(tensor, row) * tensor.Info.RowBytes + part.BytesBefore, destination[..bytes]);
    }

    StoredTensor Stored(TensorInfo tensor) => _byName.TryGetValue(tensor.Name, out var stored) && stored.Info == tensor
        ? stored
        : throw new ArgumentException($"{tensor} is not a tensor of {Name}", nameof(tensor));
}
