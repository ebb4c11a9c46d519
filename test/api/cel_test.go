// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	utilversion "k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/cel/environment"
)

// policies are those of config/admission.
func policies() []admissionregistrationv1.ValidatingAdmissionPolicy {
	GinkgoHelper()
	files, err := filepath.Glob("../../config/admission/*.yaml")
	Expect(err).NotTo(HaveOccurred())
	all := []admissionregistrationv1.ValidatingAdmissionPolicy{}
	for _, file := range files {
		f, err := os.Open(file)
		Expect(err).NotTo(HaveOccurred())
		documents := yaml.NewYAMLOrJSONDecoder(f, 4096)
		for {
			var policy admissionregistrationv1.ValidatingAdmissionPolicy
			if err = documents.Decode(&policy); err != nil {
				break
			}
			if policy.Kind == "ValidatingAdmissionPolicy" {
				all = append(all, policy)
			}
		}
		Expect(errors.Is(err, io.EOF)).To(BeTrue(), "%s: %v", file, err)
		Expect(f.Close()).To(Succeed())
	}
	return all
}

var _ = Describe("the expressions of config/admission", func() {
	// An API server of 1.30 takes new expressions of what 1.29 had too, so that it could be set back to that.
	var compiler *cel.CompositedCompiler
	BeforeEach(func() {
		var err error
		compiler, err = cel.NewCompositedCompiler(environment.MustBaseEnvSet(utilversion.MajorMinor(1, 29)))
		Expect(err).NotTo(HaveOccurred())
	})
	options := cel.OptionalVariableDeclarations{HasAuthorizer: true}
	compile := func(e cel.ExpressionAccessor) *cel.CompilationResult {
		result := compiler.CompileCELExpression(e, options, environment.NewExpressions)
		return &result
	}
	succeed := HaveField("Error", BeNil())

	It("are understood by Kubernetes 1.30", func() {
		all := policies()
		Expect(all).To(HaveLen(2))
		for i := range all {
			spec := &all[i].Spec
			for _, v := range spec.Variables {
				Expect(compiler.CompileAndStoreVariable(&validating.Variable{Name: v.Name, Expression: v.Expression}, options, environment.NewExpressions)).To(succeed, v.Name)
			}
			for j := range spec.MatchConditions {
				Expect(compile((*matchconditions.MatchCondition)(&spec.MatchConditions[j]))).To(succeed)
			}
			for _, v := range spec.Validations {
				Expect(compile(&validating.ValidationCondition{Expression: v.Expression})).To(succeed, v.Expression)
				if v.MessageExpression != "" {
					Expect(compile(&validating.MessageExpressionCondition{MessageExpression: v.MessageExpression})).To(succeed, v.MessageExpression)
				}
			}
		}
	})

	It("would be refused with what came later", func() {
		Expect(compile(&validating.ValidationCondition{Expression: "[1, 2].slice(0, 1) == [1]"})).NotTo(succeed)
	})
})
