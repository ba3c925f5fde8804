using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>A Llama in a folder as the transformers library writes it: config.json and safetensors, in one file or several.</summary>
sealed class HuggingFaceWeights : StoredWeights
{
    readonly List<SafetensorsFile> _files;

    HuggingFaceWeights(List<SafetensorsFile> files, string name, LlamaConfig config, IReadOnlyList<StoredTensor> tensors) : base(name, config, tensors) =>
        _files = files;

    public static HuggingFaceWeights Open(string folder)
    {
        var config = new HuggingFaceConfig(HuggingFaceFolder.ReadConfig(folder)).Read();
        var files = HuggingFaceFolder.OpenFiles(folder);
        try
        {
            return new HuggingFaceWeights(files, NameOf(folder), config, Collect(folder, files, config));
        }
        catch
        {
            files.ForEach(file => file.Dispose());
            throw;
        }
    }

    public override void Dispose() => _files.ForEach(file => file.Dispose());

    protected override void ReadRows(StoredTensor tensor, long firstRow, Span<byte> destination)
    {
        if (!IsRotated(tensor.Info.Name))
        {
            base.ReadRows(tensor, firstRow, destination);
            return;
        }
        var rowBytes = (int)tensor.Info.RowBytes;
        for (var row = firstRow; !destination.IsEmpty; row++, destination = destination[rowBytes..])
            base.ReadRows(tensor, StoredRow(tensor, row), destination[..rowBytes]);
    }

    protected override long StoredRow(StoredTensor tensor, long row) =>
        IsRotated(tensor.Info.Name) ? RopeRowOrder.StoredRow(row, Config.HeadSize) : row;

    static bool IsRotated(string name) =>
        name.EndsWith($".{LlamaTensors.Query}.weight", StringComparison.Ordinal) || name.EndsWith($".{LlamaTensors.Key}.weight", StringComparison.Ordinal);

    static List<StoredTensor> Collect(string folder, List<SafetensorsFile> files, LlamaConfig config)
    {
        OrderedDictionary<string, StoredTensor> tensors = new(StringComparer.Ordinal);
        foreach (var file in files)
            foreach (var name in file.Names.Where(name => !HuggingFaceNames.IsDerived(name)))
            {
                var tensor = file.Locate(name, HuggingFaceNames.ToGguf(name));
                if (!tensors.TryAdd(tensor.Info.Name, tensor)) throw tensor.File.Error($"tensor {ErrorText.Quote(name)} is in another file too");
            }
        // The config decides: some tied models hold the embedding a second time.
        if (config.TiedEmbeddings) tensors.Remove(LlamaTensors.Output);
        var problem = LlamaTensorRules.FirstProblem(config, tensors.Values.ToDictionary(t => t.Info.Name, t => t.Info, StringComparer.Ordinal));
        return problem is null ? [.. tensors.Values] : throw new ModelFormatException($"{folder}: {problem}");
    }

    static string NameOf(string folder) => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
}
