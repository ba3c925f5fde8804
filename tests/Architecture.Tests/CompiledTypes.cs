using Mono.Cecil;
using Mono.Cecil.Rocks;

namespace LlamaCluster.Architecture.Tests;

/// <summary>A type of the product that names another one: in its base, members, signatures or code.</summary>
sealed record TypeUse(string Project, string FromNamespace, string From, string ToProject, string ToNamespace, string To)
{
    public override string ToString() => $"{FromNamespace}.{From} uses {ToNamespace}.{To}";
}

/// <summary>A method or constructor that the code of a type calls, of whatever assembly.</summary>
/// <param name="From">The outermost type whose code it is.</param>
/// <param name="Type">The full name of the type that has the method.</param>
/// <param name="Method"><c>.ctor</c> for a constructor.</param>
sealed record MethodCall(string From, string Type, string Method, int Parameters)
{
    public override string ToString() => $"{From} calls {Type}.{Method}";
}

/// <summary>Reads the compiled assemblies of src: what the compiler saw, whatever the sources look like.</summary>
static class CompiledTypes
{
    const string Prefix = "LlamaCluster.";
    const string Program = "llamacluster";

    static readonly Lazy<IReadOnlyList<AssemblyDefinition>> Assemblies = new(() =>
    [
        .. SourceTree.ProjectFiles("src").Select(file => Path.GetFileNameWithoutExtension(file))
            .Select(project => AssemblyDefinition.ReadAssembly(Path.Combine(AppContext.BaseDirectory, $"{AssemblyOf(project)}.dll"))),
    ]);

    static readonly Lazy<IReadOnlyList<TypeUse>> AllUses = new(() => [.. Assemblies.Value.SelectMany(UsesIn).Distinct()]);

    static readonly Lazy<IReadOnlyList<MethodCall>> AllCalls = new(() =>
    [
        .. from assembly in Assemblies.Value
           from type in assembly.MainModule.GetAllTypes()
           from method in type.Methods.Where(method => method.HasBody)
           from called in method.Body.Instructions.Select(instruction => instruction.Operand).OfType<MethodReference>()
           select new MethodCall(Outermost(type).FullName, called.DeclaringType.GetElementType().FullName, called.Name, called.Parameters.Count),
    ]);

    /// <summary>Uses of one type of the product by another, within a project and across.</summary>
    public static IReadOnlyList<TypeUse> Uses => AllUses.Value;

    /// <summary>All calls in the product's code.</summary>
    public static IReadOnlyList<MethodCall> Calls => AllCalls.Value;

    /// <summary>The projects of src that the project's assembly refers to.</summary>
    public static IReadOnlySet<string> ReferencesOf(string project) => Assemblies.Value
        .Single(assembly => assembly.Name.Name == AssemblyOf(project)).MainModule.AssemblyReferences
        .Select(reference => ProjectOf(reference.Name)).OfType<string>().ToHashSet();

    static string AssemblyOf(string project) => project == "Cli" ? Program : Prefix + project;

    static string? ProjectOf(string assembly) =>
        assembly == Program ? "Cli" : assembly.StartsWith(Prefix, StringComparison.Ordinal) ? assembly[Prefix.Length..] : null;

    static IEnumerable<TypeUse> UsesIn(AssemblyDefinition assembly)
    {
        var project = ProjectOf(assembly.Name.Name)!;
        foreach (var type in assembly.MainModule.GetAllTypes())
        {
            var from = Outermost(type);
            if (!from.Namespace.StartsWith(Prefix, StringComparison.Ordinal)) continue;
            foreach (var used in ReferencesOf(type).SelectMany(Plain))
            {
                var to = Outermost(used);
                var home = used.Scope is AssemblyNameReference other ? ProjectOf(other.Name) : project;
                if (home is null || !to.Namespace.StartsWith(Prefix, StringComparison.Ordinal) || to.FullName == from.FullName) continue;
                yield return new TypeUse(project, from.Namespace, from.Name, home, to.Namespace, to.Name);
            }
        }
    }

    static IEnumerable<TypeReference?> ReferencesOf(TypeDefinition type)
    {
        yield return type.BaseType;
        foreach (var contract in type.Interfaces) yield return contract.InterfaceType;
        foreach (var parameter in type.GenericParameters.SelectMany(parameter => parameter.Constraints)) yield return parameter.ConstraintType;
        foreach (var field in type.Fields) yield return field.FieldType;
        foreach (var reference in type.Methods.SelectMany(ReferencesOf)) yield return reference;
    }

    static IEnumerable<TypeReference?> ReferencesOf(MethodDefinition method)
    {
        foreach (var reference in Signature(method)) yield return reference;
        if (!method.HasBody) yield break;
        foreach (var variable in method.Body.Variables) yield return variable.VariableType;
        foreach (var handler in method.Body.ExceptionHandlers) yield return handler.CatchType;
        foreach (var operand in method.Body.Instructions.Select(instruction => instruction.Operand))
            switch (operand)
            {
                case TypeReference type:
                    yield return type;
                    break;
                case FieldReference field:
                    yield return field.DeclaringType;
                    yield return field.FieldType;
                    break;
                case MethodReference called:
                    yield return called.DeclaringType;
                    foreach (var reference in Signature(called)) yield return reference;
                    if (called is GenericInstanceMethod generic)
                        foreach (var argument in generic.GenericArguments) yield return argument;
                    break;
            }
    }

    static IEnumerable<TypeReference> Signature(MethodReference method) =>
        [method.ReturnType, .. method.Parameters.Select(parameter => parameter.ParameterType)];

    /// <summary>The types that a reference is made of: element types, generic types and their arguments.</summary>
    static IEnumerable<TypeReference> Plain(TypeReference? reference) => reference switch
    {
        null or GenericParameter => [],
        GenericInstanceType generic => [.. Plain(generic.ElementType), .. generic.GenericArguments.SelectMany(Plain)],
        FunctionPointerType pointer => Signature(pointer).SelectMany(Plain),
        TypeSpecification specification => Plain(specification.ElementType),
        _ => [reference],
    };

    static IEnumerable<TypeReference> Signature(FunctionPointerType pointer) =>
        [pointer.ReturnType, .. pointer.Parameters.Select(parameter => parameter.ParameterType)];

    static TypeReference Outermost(TypeReference type) => type.DeclaringType is { } outer ? Outermost(outer) : type;
}
