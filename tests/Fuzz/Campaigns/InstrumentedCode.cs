using System.Reflection;
using System.Runtime.Loader;
using LlamaCluster.Fuzz.Tests.Targets;
using LlamaCluster.Testing;

namespace LlamaCluster.Fuzz.Tests.Campaigns;

/// <summary>
/// The product once more in this process, with code that counts the branches it takes (SharpFuzz), apart from the product that everything else here uses.
/// What passes between the two are types of .NET only.
/// </summary>
sealed class InstrumentedCode : IDisposable
{
    /// <summary>Assemblies that read what others send. Kernels compute, and would only be slower.</summary>
    static readonly string[] Instrumented = ["Text", "Model", "Planning", "Cluster", "Coordinator", "Worker"];

    const string Product = "LlamaCluster.";

    readonly TempFolder _folder = new();
    readonly Apart _apart;

    public InstrumentedCode()
    {
        foreach (var name in Instrumented.Select(name => $"{Product}{name}.dll"))
        {
            File.Copy(Path.Combine(AppContext.BaseDirectory, name), _folder.File(name));
            SharpFuzz.Fuzzer.Instrument(_folder.File(name), type => type.StartsWith(Product, StringComparison.Ordinal), SharpFuzz.Options.Value);
        }
        _apart = new Apart(_folder.Path);
    }

    /// <summary>A target over there.</summary>
    public OpenTarget Open(string name)
    {
        var opener = _apart.LoadFromAssemblyName(typeof(TargetOpener).Assembly.GetName()).GetType(typeof(TargetOpener).FullName!, throwOnError: true)!;
        var open = opener.GetMethod(nameof(TargetOpener.Open), BindingFlags.Static | BindingFlags.Public)!.CreateDelegate<Func<string, OpenedParts>>();
        return new OpenTarget(open(name));
    }

    public void Dispose() => _folder.Dispose();

    sealed class Apart(string folder) : AssemblyLoadContext("instrumented")
    {
        protected override Assembly? Load(AssemblyName name)
        {
            if (name.Name is not { } simple || !simple.StartsWith(Product, StringComparison.Ordinal)) return null;
            var instrumented = Path.Combine(folder, $"{simple}.dll");
            return LoadFromAssemblyPath(File.Exists(instrumented) ? instrumented : Path.Combine(AppContext.BaseDirectory, $"{simple}.dll"));
        }
    }
}
