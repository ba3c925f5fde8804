using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>The files of a folder: config.json, and for the tensors model.safetensors, or those that model.safetensors.index.json names.</summary>
static class HuggingFaceFolder
{
    const string ConfigName = "config.json";
    const string SingleName = "model.safetensors";
    const string IndexName = "model.safetensors.index.json";
    const string MapName = "weight_map";
    const int MaxFiles = 4096;

    /// <summary>Its config.json.</summary>
    /// <exception cref="ModelFormatException">It has none, or it is not JSON.</exception>
    public static JsonFields ReadConfig(string folder)
    {
        var path = Path.Combine(folder, ConfigName);
        return File.Exists(path) ? JsonFile.Read(path) : throw Missing(folder, ConfigName);
    }

    /// <summary>Opens the files. The caller owns them; if one cannot be opened, none is left open.</summary>
    public static List<SafetensorsFile> OpenFiles(string folder)
    {
        if (File.Exists(Path.Combine(folder, SingleName))) return [SafetensorsFile.Open(Path.Combine(folder, SingleName))];
        var index = Path.Combine(folder, IndexName);
        return File.Exists(index) ? OpenIndexed(folder, JsonFile.Read(index)) : throw Missing(folder, SingleName);
    }

    static List<SafetensorsFile> OpenIndexed(string folder, JsonFields index)
    {
        var map = index.GetObject(MapName);
        var byFile = map.Strings().ToLookup(entry => FileOf(map, entry.Name, entry.Text), entry => entry.Name, StringComparer.Ordinal);
        if (byFile.Count is 0 or > MaxFiles) throw index.Error(MapName, $"names {byFile.Count} files; 1 to {MaxFiles} are allowed");
        List<SafetensorsFile> files = [];
        try
        {
            foreach (var tensors in byFile.OrderBy(group => group.Key, StringComparer.Ordinal))
                files.Add(OpenPart(folder, index, tensors.Key, tensors));
            return files;
        }
        catch
        {
            files.ForEach(file => file.Dispose());
            throw;
        }
    }

    // A plain name: an index must not make this program read files elsewhere.
    static string FileOf(JsonFields map, string tensor, string file) =>
        file.EndsWith(".safetensors", StringComparison.Ordinal) && Path.GetFileName(file) == file && !file.Contains('\\')
            ? file
            : throw map.Error(tensor, $"is in {ErrorText.Quote(file)}, which is not the name of a safetensors file in this folder");

    static SafetensorsFile OpenPart(string folder, JsonFields index, string name, IEnumerable<string> tensors)
    {
        var path = Path.Combine(folder, name);
        if (!File.Exists(path)) throw index.Error(MapName, $"names {ErrorText.Quote(name)}, which is not in the folder: download it too");
        var file = SafetensorsFile.Open(path);
        if (tensors.FirstOrDefault(tensor => !file.Has(tensor)) is not { } missing) return file;
        file.Dispose();
        throw index.Error(MapName, $"says that tensor {ErrorText.Quote(missing)} is in {ErrorText.Quote(name)}, but it is not");
    }

    /// <summary>The error for a folder without one of its files, with what to give instead.</summary>
    public static ModelFormatException Missing(string folder, string name)
    {
        // Beside a model that also sees, its other half lies as a GGUF file.
        if (Directory.EnumerateFiles(folder, "*.gguf").Where(file => !Path.GetFileName(file).StartsWith("mmproj", StringComparison.OrdinalIgnoreCase))
                .Order(StringComparer.Ordinal).FirstOrDefault() is { } gguf)
            return new($"{folder}: has no {name}: give the GGUF file in it, such as {gguf}");
        if (File.Exists(Path.Combine(folder, "adapter_config.json")))
            return new($"{folder}: has no {name}, but an adapter: merge it into the model that it was made for, and give that");
        string[] formats = ["*.bin", "*.pt", "*.pth"];
        return formats.Any(format => Directory.EnumerateFiles(folder, format).Any())
            ? new($"{folder}: has PyTorch files but no {name}: convert the model to Hugging Face's format with safetensors")
            : new($"{folder}: has no {name}: give a GGUF file or a folder with a Hugging Face model");
    }
}
