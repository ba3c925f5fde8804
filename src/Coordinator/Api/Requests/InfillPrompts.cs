using System.Text;
using LlamaCluster.Text;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>
/// Writes the prompts that ask a model for the text between two others: bos, other files of the project, prefix mark, prefix, suffix mark, suffix, middle mark.
/// As in Meta's code for Code Llama the suffix has no space put in front; files are written as llama.cpp's server writes them.
/// Marks within the texts are words.
/// </summary>
sealed class InfillPrompts(ITokenizer tokenizer, InfillTokens marks)
{
    /// <summary>Between texts of models that have no mark for files.</summary>
    const string Between = "\n\n--- snippet ---\n\n";

    /// <summary>The name of a project or a file that has none.</summary>
    const string NoProject = "myproject";
    const string NoFile = "tmp";
    const string OwnFile = "filename";

    readonly HashSet<int> _marks = [.. new[] { marks.Prefix, marks.Suffix, marks.Middle, marks.End, marks.Repository, marks.File }.OfType<int>()];

    /// <param name="most">Where it is cut: tokens that it may have.</param>
    public List<int> Encode(RawPrompt.Infill asked, int most)
    {
        var (prefix, suffix) = (new List<int>(), new List<int>());
        Add(asked.Prefix, prefix, isFirst: true);
        Add(asked.Suffix, suffix);
        var files = Files(asked.Files);
        var begin = new List<int>();
        tokenizer.Encode([], begin, addSpecial: true, parseSpecial: false);
        begin.RemoveAll(id => id != tokenizer.BosId);   // eos would end the prompt before it begins
        if (asked.Cuts) Cut(files, prefix, suffix, most - begin.Count - 3);
        return [.. begin, .. files, marks.Prefix, .. prefix, marks.Suffix, .. suffix, marks.Middle];
    }

    /// <summary>The suffix keeps a quarter, or what the prefix leaves; then come the files that stand nearest.</summary>
    static void Cut(List<int> files, List<int> prefix, List<int> suffix, int most)
    {
        most = Math.Max(2, most);
        var ofSuffix = Math.Min(suffix.Count, Math.Max(most / 4, most - prefix.Count));
        var ofPrefix = Math.Min(prefix.Count, most - ofSuffix);
        var ofFiles = Math.Min(files.Count, most - ofSuffix - ofPrefix);
        suffix.RemoveRange(ofSuffix, suffix.Count - ofSuffix);
        prefix.RemoveRange(0, prefix.Count - ofPrefix);
        files.RemoveRange(0, files.Count - ofFiles);
    }

    List<int> Files(IReadOnlyList<InfillFile> files)
    {
        var ids = new List<int>();
        if (files.Count > 0 && marks is { Repository: { } repository, File: not null })
        {
            ids.Add(repository);
            Add($"{NoProject}\n", ids);
        }
        foreach (var file in files)
        {
            BeginFile(file.Name.Length > 0 ? file.Name : NoFile, ids);
            Add(file.Text, ids);
        }
        if (files.Count > 0 && marks.File is not null) BeginFile(OwnFile, ids);
        return ids;
    }

    void BeginFile(string name, List<int> ids)
    {
        if (marks.File is { } mark)
        {
            ids.Add(mark);
            Add($"{name}\n", ids);
        }
        else Add(Between, ids);
    }

    /// <summary>Adds a text, in which nothing is a mark.</summary>
    /// <param name="isFirst">A vocabulary that puts a space in front of texts does so here.</param>
    void Add(string text, List<int> ids, bool isFirst = false)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        var first = ids.Count;
        AddPart(bytes, ids, isFirst);
        if (!ids.Skip(first).Any(_marks.Contains)) return;
        // The marks of Code Llama are words of its vocabulary, which "<PRE>" in HTML would become. Cut behind the "<" it becomes other words.
        ids.RemoveRange(first, ids.Count - first);
        var begun = 0;
        foreach (var cut in Cuts(bytes).Distinct().Order().Append(bytes.Length))
        {
            AddPart(bytes.AsSpan(begun, cut - begun), ids, isFirst && begun == 0);
            begun = cut;
        }
    }

    void AddPart(ReadOnlySpan<byte> text, List<int> ids, bool isFirst)
    {
        if (text.IsEmpty) return;
        if (isFirst) tokenizer.Encode(text, ids, addSpecial: false, parseSpecial: false);
        else tokenizer.EncodeWithin(text, ids);
    }

    List<int> Cuts(byte[] text)
    {
        var cuts = new List<int>();
        foreach (var mark in _marks)
        {
            var written = tokenizer.BytesOf(mark).Span.TrimStart((byte)' ');
            for (var at = 0; written.Length > 1 && text.AsSpan(at).IndexOf(written) is >= 0 and var found; at += found + 1) cuts.Add(at + found + 1);
        }
        return cuts;
    }
}
