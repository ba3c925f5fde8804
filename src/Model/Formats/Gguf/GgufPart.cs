using LlamaCluster.Kernels;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>
/// The tensors of one GGUF file, each of a known type and at a place that is wholly inside the file and no other's. A stack of experts gives one tensor
/// for each expert.
/// </summary>
sealed class GgufPart
{
    /// <summary>More than any model has; a damaged file must not make this program fill its memory with names.</summary>
    const int MaxExpertMatrices = 1 << 18;

    readonly GgufFile _file;

    public GgufPart(GgufFile file)
    {
        _file = file;
        Entry[] entries = [.. file.Tensors.Select(Locate)];
        RefuseOverlap(entries);
        if (entries.Sum(entry => (long)(entry.Experts ?? 0)) is > MaxExpertMatrices and var matrices)
            throw File.Error($"has {matrices} matrices of experts; at most {MaxExpertMatrices} are allowed");
        Tensors = [.. entries.SelectMany(TensorsOf)];
    }

    public ModelFile File => _file.File;

    /// <summary>In stored order.</summary>
    public IReadOnlyList<StoredTensor> Tensors { get; }

    Entry Locate(GgufTensor tensor)
    {
        var name = $"tensor {ErrorText.Quote(tensor.Name)}";
        var type = TypeOf(tensor, name);
        var (experts, rows, columns) = ShapeOf(tensor, name);
        if (LlamaTensorRules.RowProblem(tensor.Name, type, columns) is { } problem) throw File.Error(problem);
        if (tensor.Offset % _file.Alignment != 0) throw File.Error($"{name} is at offset {tensor.Offset}, not a multiple of the alignment {_file.Alignment}");
        var end = (Int128)tensor.Offset + (Int128)rows * type.RowBytes(columns);
        if (end > File.Length - _file.DataStart)
            throw File.Error($"{name} ends at byte {_file.DataStart + end} but the file has only {File.Length}: it is damaged or cut short");
        return new Entry(new TensorInfo(tensor.Name, type, rows, columns), _file.DataStart + (long)tensor.Offset, experts);
    }

    IEnumerable<StoredTensor> TensorsOf(Entry entry)
    {
        if (entry.Experts is not { } experts) return [new StoredTensor(entry.Info, File, entry.Offset)];
        var one = entry.Info with { Rows = entry.Info.Rows / experts };
        return Enumerable.Range(0, experts)
            .Select(expert => new StoredTensor(one with { Name = ExpertTensors.InStack(entry.Info.Name, expert) }, File, entry.Offset + expert * one.Bytes));
    }

    TensorType TypeOf(GgufTensor tensor, string name)
    {
        var type = (TensorType)tensor.TypeNumber;
        if (tensor.TypeNumber <= int.MaxValue && Enum.IsDefined(type)) return type;
        throw File.Error($"{name} is of type {GgmlTypeNames.NameOf(tensor.TypeNumber)}, which is not supported; "
            + $"supported are {string.Join(' ', Enum.GetNames<TensorType>())}");
    }

    /// <returns>Of a stack of experts their number, and the rows of all of them.</returns>
    (int? Experts, long Rows, long Columns) ShapeOf(GgufTensor tensor, string name)
    {
        var dimensions = tensor.Dimensions;
        var isStack = ExpertTensors.IsStack(tensor.Name);
        if (dimensions.Skip(isStack ? 3 : 2).Any(d => d != 1) || dimensions.Any(d => d > int.MaxValue))
            throw File.Error(
                $"{name} has shape [{string.Join(", ", dimensions)}]; a Llama has vectors and matrices of at most {int.MaxValue} rows and columns");
        var rows = dimensions.Count > 1 ? (long)dimensions[1] : 1;
        if (!isStack) return (null, rows, (long)dimensions[0]);
        var experts = dimensions.Count > 2 ? (int)dimensions[2] : 1;
        return (experts, rows * experts, (long)dimensions[0]);
    }

    void RefuseOverlap(IEnumerable<Entry> entries)
    {
        Entry? before = null;
        foreach (var entry in entries.OrderBy(t => t.Offset))
        {
            if (before is not null && entry.Offset < before.Offset + before.Info.Bytes)
                throw File.Error($"tensors {ErrorText.Quote(before.Info.Name)} and {ErrorText.Quote(entry.Info.Name)} overlap");
            before = entry;
        }
    }

    /// <summary>A tensor as the file has it.</summary>
    /// <param name="Info">With all rows of a stack.</param>
    /// <param name="Experts">How many matrices are stacked; null: it is no stack.</param>
    sealed record Entry(TensorInfo Info, long Offset, int? Experts);
}
