using System.Globalization;
using System.Text.RegularExpressions;

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
