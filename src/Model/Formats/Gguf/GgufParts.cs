using System.Globalization;
using System.Text.RegularExpressions;
using LlamaCluster.Kernels;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>
/// The files of a model that is split, named <c>NAME-00001-of-000NN.gguf</c>. All metadata is in the first; each says with
/// <c>split.no</c> (from 0), <c>split.count</c> and <c>split.tensors.count</c> what it is of.
/// </summary>
static partial class GgufParts
{
    const string NumberKey = "split.no";
    const string CountKey = "split.count";
    const string TensorCountKey = "split.tensors.count";
    const int MaxParts = 99_999;

    /// <summary>
    /// Opens a file that is whole or the first of several. Another part, which has no metadata of the model, is refused with the name of the first.
    /// </summary>
    public static GgufFile OpenFirst(string path)
    {
        var file = GgufFile.Open(path);
        try
        {
            PartCount(file);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Opens the parts after the first. The caller owns them; if one cannot be opened, none is left open.</summary>
    public static List<GgufFile> OpenRest(GgufFile first)
    {
        List<GgufFile> rest = [];
        try
        {
            var count = PartCount(first);
            for (var number = 1; number < count; number++) rest.Add(OpenPart(first, number, count));
            CheckTensorCount(first, rest);
            return rest;
        }
        catch
        {
            rest.ForEach(part => part.Dispose());
            throw;
        }
    }

    static int PartCount(GgufFile first)
    {
        if (!first.Metadata.TryGetInt32(CountKey, out var count)) return 1;
        if (count is < 0 or > MaxParts) throw first.Metadata.Error(CountKey, $"is {count}; it must be from 0 to {MaxParts}");
        if (count > 1 && first.Metadata.GetInt32(NumberKey) is not 0 and var number)
            throw first.File.Error($"is part {number + 1} of {count}: give the first part, {NameOf(first, 0, count)}");
        return count;
    }

    static GgufFile OpenPart(GgufFile first, int number, int count)
    {
        var path = NameOf(first, number, count);
        if (!File.Exists(path)) throw first.File.Error($"part {number + 1} of {count} is missing: {path}");
        var part = GgufFile.Open(path);
        try
        {
            Expect(part, NumberKey, number);
            Expect(part, CountKey, count);
            return part;
        }
        catch
        {
            part.Dispose();
            throw;
        }
    }

    static void Expect(GgufFile part, string key, int expected)
    {
        if (part.Metadata.GetInt32(key) is var actual && actual != expected)
            throw part.Metadata.Error(key, $"is {actual}; by its name and the first part it should be {expected}");
    }

    static void CheckTensorCount(GgufFile first, List<GgufFile> rest)
    {
        if (!first.Metadata.TryGetInt32(TensorCountKey, out var expected)) return;
        var actual = first.Tensors.Count + rest.Sum(part => part.Tensors.Count);
        if (actual != expected) throw first.Metadata.Error(TensorCountKey, $"is {expected}, but the parts hold {actual} tensors");
    }

    static string NameOf(GgufFile known, int number, int count)
    {
        var match = PartName().Match(known.Path);
        if (!match.Success) throw known.File.Error($"is one of {count} parts, but is not named like NAME-00001-of-{count:00000}.gguf");
        return string.Create(CultureInfo.InvariantCulture, $"{match.Groups["prefix"].Value}-{number + 1:00000}-of-{count:00000}.gguf");
    }

    [GeneratedRegex(@"^(?<prefix>.*)-\d{5}-of-\d{5}\.gguf$", RegexOptions.CultureInvariant | RegexOptions.Singleline)]
    private static partial Regex PartName();
}

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
