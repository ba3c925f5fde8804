namespace LlamaCluster.Architecture.Tests;

/// <summary>A reader can take the namespaces of a project one after the other: none needs one that needs it.</summary>
public sealed class NamespaceTests
{
    public static TheoryData<string> Projects => [.. SourceTree.ProjectFiles("src").Select(file => Path.GetFileNameWithoutExtension(file)!)];

    [Theory]
    [MemberData(nameof(Projects))]
    public void No_namespaces_of_a_project_use_each_other_in_a_circle(string project)
    {
        var uses = CompiledTypes.Uses.Where(use => use.Project == project && use.ToProject == project && use.FromNamespace != use.ToNamespace).ToList();
        var direct = uses.ToLookup(use => use.FromNamespace, use => use.ToNamespace);
        var reached = direct.ToDictionary(group => group.Key, group => Reached(group.Key, direct));
        bool Reaches(string from, string to) => reached.TryGetValue(from, out var all) && all.Contains(to);

        var circular = uses.Where(use => Reaches(use.ToNamespace, use.FromNamespace)).Select(use => use.ToString()).Order(StringComparer.Ordinal).ToList();
        Assert.True(circular.Count == 0, $"{project} has circles of namespaces, made of:\n{string.Join('\n', circular)}");
    }

    static HashSet<string> Reached(string start, ILookup<string, string> direct)
    {
        HashSet<string> reached = [];
        Stack<string> open = new([start]);
        while (open.TryPop(out var current))
            foreach (var next in direct[current])
                if (reached.Add(next)) open.Push(next);
        return reached;
    }
}
