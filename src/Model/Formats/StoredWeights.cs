using System.Buffers;
using System.Runtime.InteropServices;
using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

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

    public TensorPlace? PlaceOf(TensorInfo tensor) =>
        Stored(tensor) is { Scaled: null, ColumnStride: 0 } stored && IsInOrder(tensor)
            ? new TensorPlace(stored.File.Path, stored.File.Begin + stored.Offset)
            : null;

    public string? StoredAs(TensorInfo tensor) => Stored(tensor).Scaled?.Description;

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
        else if (stored.ColumnStride > 0) ReadTransposed(stored, part, destination);
        else ReadColumns(stored, part, destination);
    }

    public bool TryReadAs(TensorType type, TensorPart part, Span<byte> destination)
    {
        var stored = Stored(part.Tensor);
        if (stored.Scaled is not { } scaled || !scaled.HasForm(type)) return false;
        var rowBytes = (int)type.RowBytes(part.ColumnCount);
        for (var row = part.FirstRow; !destination.IsEmpty; row++, destination = destination[rowBytes..])
            scaled.ReadQ4_0(StoredRow(stored, row), part.FirstColumn, destination[..rowBytes]);
        return true;
    }

    public string ComputeDigest(CancellationToken cancellation = default) => ModelDigest.Compute(this, cancellation);

    public abstract void Dispose();

    /// <summary>As <see cref="IModelWeights.ReadRows"/>; the rows are known to be the tensor's.</summary>
    protected virtual void ReadRows(StoredTensor tensor, long firstRow, Span<byte> destination)
    {
        if (tensor.ColumnStride > 0) ReadTransposed(tensor, TensorPart.Rows(tensor.Info, firstRow, destination.Length / tensor.Info.RowBytes), destination);
        else if (tensor.Scaled is { } scaled) ReadScaled(scaled, firstRow, (int)tensor.Info.RowBytes, destination);
        else tensor.File.Read(tensor.Offset + firstRow * tensor.Info.RowBytes, destination);
    }

    /// <summary>Whether the file has the tensor's numbers in the order in which they are read.</summary>
    protected virtual bool IsInOrder(TensorInfo tensor) => true;

    /// <summary>Where a row of the tensor stands in its file, counted in rows.</summary>
    protected virtual long StoredRow(StoredTensor tensor, long row) => row;

    void ReadColumns(StoredTensor tensor, TensorPart part, Span<byte> destination)
    {
        var bytes = (int)part.RowBytes;
        for (var row = part.FirstRow; !destination.IsEmpty; row++, destination = destination[bytes..])
        {
            var stored = StoredRow(tensor, row);
            if (tensor.Scaled is { } scaled) scaled.ReadRow(stored, part.FirstColumn, MemoryMarshal.Cast<byte, float>(destination[..bytes]));
            else tensor.File.Read(tensor.Offset + stored * tensor.Info.RowBytes + part.BytesBefore, destination[..bytes]);
        }
    }

    static void ReadScaled(ScaledMatrix matrix, long firstRow, int rowBytes, Span<byte> destination)
    {
        for (var row = firstRow; !destination.IsEmpty; row++, destination = destination[rowBytes..])
            matrix.ReadRow(row, 0, MemoryMarshal.Cast<byte, float>(destination[..rowBytes]));
    }

    /// <summary>Of each column the part's rows, which stand together, go to their places.</summary>
    static void ReadTransposed(StoredTensor tensor, TensorPart part, Span<byte> destination)
    {
        var size = tensor.Info.Type.BlockBytes();
        var rows = (int)part.RowCount;
        var (rented, columns) = (ArrayPool<byte>.Shared.Rent(rows * size), (int)part.ColumnCount);
        var column = rented.AsSpan(0, rows * size);
        for (var c = 0; c < columns; c++)
        {
            tensor.File.Read(tensor.Offset + (part.FirstColumn + c) * tensor.ColumnStride + part.FirstRow * size, column);
            if (size == sizeof(ushort)) Scatter<ushort>(column, destination, c, columns);
            else Scatter<uint>(column, destination, c, columns);
        }
        ArrayPool<byte>.Shared.Return(rented);
    }

    static void Scatter<T>(ReadOnlySpan<byte> column, Span<byte> rows, int at, int columns)
        where T : unmanaged
    {
        var from = MemoryMarshal.Cast<byte, T>(column);
        var to = MemoryMarshal.Cast<byte, T>(rows);
        for (var row = 0; row < from.Length; row++, at += columns) to[at] = from[row];
    }

    StoredTensor Stored(TensorInfo tensor) => _byName.TryGetValue(tensor.Name, out var stored) && stored.Info == tensor
        ? stored
        : throw new ArgumentException($"{tensor} is not a tensor of {Name}", nameof(tensor));
}
