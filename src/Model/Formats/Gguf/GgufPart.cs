using LlamaCluster.Kernels;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>The tensors of one GGUF file, each of a known type and at a place that is wholly inside the file and no other's.</summary>
sealed class GgufPart
{
    readonly GgufFile _file;

    public GgufPart(GgufFile file)
    {
        _file = file;
        Tensors = [.. file.Tensors.Select(Locate)];
        RefuseOverlap();
    }

    public ModelFile File => _file.File;

    /// <summary>In stored order.</summary>
    public IReadOnlyList<StoredTensor> Tensors { get; }

    StoredTensor Locate(GgufTensor tensor)
    {
        var name = $"tensor {ErrorText.Quote(tensor.Name)}";
        var type = TypeOf(tensor, name);
        var (rows, columns) = ShapeOf(tensor, name);
        if (LlamaTensorRules.RowProblem(tensor.Name, type, columns) is { } problem) throw File.Error(problem);
        if (tensor.Offset % _file.Alignment != 0) throw File.Error($"{name} is at offset {tensor.Offset}, not a multiple of the alignment {_file.Alignment}");
        var end = (Int128)tensor.Offset + (Int128)rows * type.RowBytes(columns);
        if (end > File.Length - _file.DataStart)
            throw File.Error($"{name} ends at byte {_file.DataStart + end} but the file has only {File.Length}: it is damaged or cut short");
        return new StoredTensor(new TensorInfo(tensor.Name, type, rows, columns), File, _file.DataStart + (long)tensor.Offset);
    }

    TensorType TypeOf(GgufTensor tensor, string name)
    {
        var type = (TensorType)tensor.TypeNumber;
        if (tensor.TypeNumber <= int.MaxValue && Enum.IsDefined(type)) return type;
        throw File.Error($"{name} is of type {GgmlTypeNames.NameOf(tensor.TypeNumber)}, which is not supported; "
            + $"supported are {string.Join(' ', Enum.GetNames<TensorType>())}");
    }

    (long Rows, long Columns) ShapeOf(GgufTensor tensor, string name)
    {
        var dimensions = tensor.Dimensions;
        if (dimensions.Skip(2).Any(d => d != 1) || dimensions.Any(d => d > int.MaxValue))
            throw File.Error($"{name} has shape [{string.Join(", ", dimensions)}]; a Llama has vectors and matrices of at most {int.MaxValue} rows and columns");
        return (dimensions.Count > 1 ? (long)dimensions[1] : 1, (long)dimensions[0]);
    }

    void RefuseOverlap()
    {
        StoredTensor? before = null;
        foreach (var tensor in Tensors.OrderBy(t => t.Offset))
        {
            if (before is not null && tensor.Offset < before.Offset + before.Info.Bytes)
                throw File.Error($"tensors {ErrorText.Quote(before.Info.Name)} and {ErrorText.Quote(tensor.Info.Name)} overlap");
            before = tensor;
        }
    }
}
